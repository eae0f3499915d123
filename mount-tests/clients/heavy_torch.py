"""PyTorch saves, with pickles of both kinds, and safetensors; loads whole, mapped and in part."""
import os
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

torch.manual_seed(1)
weights = {
    "a": torch.randn(300, 200),
    "b": torch.randn(100, 100).bfloat16(),
    "tiny": torch.tensor(3),
    "empty": torch.empty(0, 4),
    "f8": torch.randn(64, 64).to(torch.float8_e4m3fn),
}


def check(found, names=weights):
    for name in names:
        assert found[name].dtype == weights[name].dtype and found[name].shape == weights[name].shape, name
        assert torch.equal(found[name].flatten().view(torch.uint8), weights[name].flatten().view(torch.uint8)), name


if sys.argv[1] == "save":
    out = os.environ["W"] + "/torch"
    os.makedirs(out)
    for _ in range(2):
        torch.save(weights, out + "/zip.pt")
        torch.save({"a": weights["a"]}, out + "/legacy.pt", _use_new_zipfile_serialization=False)
        save_file(weights, out + "/model.safetensors")
    source = out
else:
    source = os.environ["M"] + "/branches/main/torch"
check(torch.load(source + "/zip.pt"))
check(torch.load(source + "/zip.pt", mmap=True))
check(torch.load(source + "/legacy.pt", weights_only=True), ["a"])
check(load_file(source + "/model.safetensors"))
with safe_open(source + "/model.safetensors", "pt") as file:
    assert torch.equal(file.get_slice("a")[3:5], weights["a"][3:5])
