"""The libraries of each kind of file read what was converted."""
import os
import gguf
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

out = os.environ["W"] + "/"
weights = dict(np.load("expected.npz"))

def same(found):
    assert found.keys() == weights.keys(), found.keys()
    for name, value in weights.items():
        assert found[name].dtype == value.dtype and np.array_equal(found[name], value), name

same(load_file(out + "from_npz.safetensors"))
same(dict(np.load(out + "from_safetensors.npz")))
with safe_open(out + "again.safetensors", "np") as file:
    assert file.metadata() == {"step": "1", "made": "here"}, file.metadata()
same({tensor.name: tensor.data for tensor in gguf.GGUFReader(out + "m.gguf").tensors})

def rounded(value):
    """binary32 as bfloat16, to the nearest, ties to even."""
    bits = value.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)

for name, kind in [("q8_0", gguf.GGMLQuantizationType.Q8_0), ("q4_0", gguf.GGMLQuantizationType.Q4_0)]:
    reader = gguf.GGUFReader(f"{out}{name}.gguf")
    assert bytes(reader.fields["general.architecture"].parts[-1]) == b"llama"
    assert reader.fields["llama.block_count"].parts[-1][0] == 2
    found = {tensor.name: tensor for tensor in reader.tensors}
    weight = weights["layer.weight"]
    expected = gguf.quants.quantize(weight, kind)
    assert np.array_equal(found["layer.weight"].data, expected), name
    assert list(found["layer.weight"].shape) == [96, 64] and found["layer.weight"].tensor_type == kind
    assert np.array_equal(found["layer.bias"].data, weights["layer.bias"])
    # The same as numbers in a file, and in the view of a mount.
    numbers = gguf.quants.dequantize(expected, kind)
    assert np.array_equal(load_file(f"{out}{name}.safetensors")["layer.weight"], numbers), name
    view = f"{os.environ['M']}/views/f32/main/{name}.gguf/layer.weight.npy"
    assert np.array_equal(np.load(view), numbers), name
    mapped = np.load(view, mmap_mode="r")
    assert mapped.ctypes.data % 64 == 0 and np.array_equal(mapped[40:44], numbers[40:44]), name
    assert os.stat(view).st_size == mapped.offset + numbers.nbytes
reader = gguf.GGUFReader(out + "bf16.gguf")
found = {tensor.name: tensor for tensor in reader.tensors}
assert np.array_equal(found["layer.weight"].data.view(np.uint16), rounded(weights["layer.weight"]))
