import json, os
import numpy as np

folder = os.environ["M"] + "/tensors/main/model.safetensors"
expected = {name.replace("|", "/"): value for name, value in np.load("expected.npz").items()}
stems = {name: name.replace("/", "%2F") for name in expected}
names = sorted(stem + end for stem in stems.values() for end in (".npy", ".json"))
assert sorted(os.listdir(folder)) == names, os.listdir(folder)
for name, stem in stems.items():
    value = expected[name]
    found = np.load(f"{folder}/{stem}.npy")
    assert found.dtype == value.dtype and found.shape == value.shape and (found == value).all(), name
    if value.size:
        mapped = np.load(f"{folder}/{stem}.npy", mmap_mode="r")
        assert mapped.ctypes.data % 64 == 0 and (mapped == value).all(), name
    with open(f"{folder}/{stem}.json") as file:
        facts = json.load(file)
    assert facts["name"] == name and facts["shape"] == list(value.shape), facts
    assert os.stat(f"{folder}/{stem}.npy").st_size == len(open(f"{folder}/{stem}.npy", "rb").read())
