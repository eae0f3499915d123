import os
import numpy as np

root = os.environ["M"]
assert os.listdir(root + "/views") == ["f32"]
stored = np.load(root + "/tensors/main/q.gguf/layer.weight.npy")
blocks = np.ascontiguousarray(stored).reshape(-1, 34)
scales = np.ascontiguousarray(blocks[:, :2]).view(np.float16).astype(np.float32)
expected = (blocks[:, 2:].view(np.int8).astype(np.float32) * scales).reshape(64, 96)
folder = root + "/views/f32/main/q.gguf"
# Whole numbers are no floats.
assert sorted(os.listdir(folder)) == ["half.npy", "layer.bias.npy", "layer.weight.npy"], os.listdir(folder)
path = folder + "/layer.weight.npy"
found = np.load(path)
assert found.dtype == np.float32 and np.array_equal(found, expected)
mapped = np.load(path, mmap_mode="r")
assert mapped.ctypes.data % 64 == 0 and np.array_equal(mapped[33:35, 5:70], expected[33:35, 5:70])
assert os.stat(path).st_size == mapped.offset + expected.nbytes
weights = dict(np.load("expected.npz"))
turned = np.load(root + "/views/f32/main/m.npz/layer.weight.npy")
assert turned.flags["C_CONTIGUOUS"] and np.array_equal(turned, weights["layer.weight"])
half = np.load(root + "/views/f32/HEAD/m.npz/half.npy")
assert half.dtype == np.float32 and np.array_equal(half, weights["half"].astype("f4"))
