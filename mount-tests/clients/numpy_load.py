import json
import os
import numpy as np

head = os.environ["M"] + "/HEAD"
array = np.load("array.npy")
for name in ("stored.npz", "packed.npz"):
    assert (np.load(f"{head}/{name}")["first"] == array).all()
assert (np.load(head + "/stored.npz")["deep/second"] == array[:10]).all()
# In Fortran order as well an array has its shape and its order.
views = os.environ["M"] + "/tensors/HEAD"
for name, value in (("fortran.npy/array", array), ("mixed.npz/f", array[:7])):
    found = np.load(f"{views}/{name}.npy", mmap_mode="r")
    assert found.shape == value.shape and (found == value).all() and found.flags.f_contiguous, name
    assert json.load(open(f"{views}/{name}.json"))["shape"] == list(value.shape)
assert (np.load(views + "/mixed.npz/c.npy") == array).all()
array[3, 4] = 42
assert (np.load(head + "/array.npy") == array).all()
assert (np.load(head + "/array.npy", mmap_mode="r") == array).all()
tensors = os.environ["M"] + "/tensors/HEAD"
assert (np.load(tensors + "/array.npy/array.npy") == array).all()
assert sorted(os.listdir(tensors)) == ["array.npy", "fortran.npy", "mixed.npz", "stored.npz"], os.listdir(tensors)
assert os.listdir(tensors + "/stored.npz").count("deep%2Fsecond.npy") == 1
