import os
import numpy as np

worktree = os.environ["W"]
array = np.random.default_rng(1).standard_normal((500, 200)).astype("f4")
np.save(worktree + "/array.npy", array)
np.savez(worktree + "/stored.npz", first=array, **{"deep/second": array[:10]})
np.savez_compressed(worktree + "/packed.npz", first=array)
np.save(worktree + "/fortran.npy", np.asfortranarray(array))
np.savez(worktree + "/mixed.npz", c=array, f=np.asfortranarray(array[:7]))
np.save("array.npy", array)
changed = np.load(worktree + "/array.npy", mmap_mode="r+")
changed[3, 4] = 42
changed.flush()
del changed
assert np.load(worktree + "/array.npy")[3, 4] == 42
