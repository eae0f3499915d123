import os, stat
import numpy as np
from safetensors.numpy import load_file, save_file

worktree = os.environ["W"]
rng = np.random.default_rng(0)
weights = {
    "model.embed.weight": (rng.standard_normal((2000, 300)) * 0.02).astype("f4"),
    "model.norm/weight": np.ones(300, "f2"),
    "step": np.array(1, "i8"),
    "empty": np.zeros((0, 4), "f4"),
    "mask": rng.integers(0, 2, (10, 10)).astype("?"),
}
np.savez("expected.npz", **{name.replace("/", "|"): value for name, value in weights.items()})
path = worktree + "/model.safetensors"
save_file(weights, path, metadata={"format": "np", "step": "1"})
assert os.listdir(worktree) == ["model.safetensors"], os.listdir(worktree)
assert stat.S_IMODE(os.stat(path).st_mode) in (0o600, 0o644)
for name, value in load_file(path).items():
    assert value.dtype == weights[name].dtype and (value == weights[name]).all(), name
