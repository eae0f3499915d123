import os
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

mount = os.environ["M"]
first = {name.replace("|", "/"): value for name, value in np.load("expected.npz").items()}

def same(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape and (found == expected).all()

old = load_file(mount + "/commits/HEAD~1/model.safetensors")
assert sorted(old) == sorted(first)
for name in first:
    same(old[name], first[name])

second = dict(first, step=np.array(2, "i8"))
second["model.embed.weight"] = first["model.embed.weight"].copy()
second["model.embed.weight"][7] += 1
for place in ("branches/main", "HEAD", "worktree/main"):
    with safe_open(f"{mount}/{place}/model.safetensors", framework="np") as file:
        assert sorted(file.keys()) == sorted(second)
        for name in file.keys():
            same(file.get_tensor(name), second[name])
        same(file.get_slice("model.embed.weight")[5:9], second["model.embed.weight"][5:9])
