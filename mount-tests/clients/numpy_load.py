import os
import numpy as np

head = os.environ["M"] + "/HEAD"
array = np.load("array.npy")
for name in ("stored.npz", "packed.npz"):
    assert (np.load(f"{head}/{name}")["first"] == array).all()
assert (np.load(head + "/stored.npz")["deep/second"] == array[:10]).all()
array[3, 4] = 42
assert (np.load(head + "/array.npy") == array).all()
assert (np.load(head + "/array.npy", mmap_mode="r") == array).all()
tensors = os.environ["M"] + "/tensors/HEAD"
assert (np.load(tensors + "/array.npy/array.npy") == array).all()
assert sorted(os.listdir(tensors)) == ["array.npy", "stored.npz"], os.listdir(tensors)
assert os.listdir(tensors + "/stored.npz").count("deep%2Fsecond.npy") == 1
