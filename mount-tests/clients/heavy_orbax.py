"""Orbax writes steps behind the program's back, keeps the last two, and restores them."""
import os
import pathlib
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp


def state(step):
    key = jax.random.key(step)
    return {"layer": {"w": jax.random.normal(key, (256, 128)), "b": np.arange(128.0)}, "step": np.array([step])}


options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=True)
if sys.argv[1] == "save":
    folder = pathlib.Path(os.environ["W"]) / "orbax"
    with ocp.CheckpointManager(folder, options=options) as manager:
        for step in [1, 2, 3]:
            manager.save(step, args=ocp.args.StandardSave(state(step)))
        manager.wait_until_finished()
    source = folder
else:
    source = pathlib.Path(os.environ["M"]) / "branches/main/orbax"
read = ocp.CheckpointManagerOptions(read_only=True)
with ocp.CheckpointManager(source, options=read) as manager:
    assert list(manager.all_steps()) == [2, 3]
    for step in [2, 3]:
        found = manager.restore(step, args=ocp.args.StandardRestore(state(0)))
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(state(step)), strict=True):
            assert np.array_equal(np.asarray(one), np.asarray(other))
