"""PyTorch's distributed checkpoints: one process, and two ranks of which each saves its half."""
import os
import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as checkpoint
import torch.multiprocessing

whole = torch.arange(64.0).reshape(8, 8)


def state(seed):
    return {"model": {name: torch.full((64, 64), float(seed + at)) for at, name in enumerate("abc")}, "step": seed}


def check(source, seed):
    found = state(0)
    checkpoint.load(found, checkpoint_id=source)
    assert found["step"] == seed and torch.equal(found["model"]["b"], state(seed)["model"]["b"])


def rank(number, out):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29517")
    dist.init_process_group("gloo", rank=number, world_size=2)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (2,))
    checkpoint.save({"w": distribute_tensor(whole, mesh, [Shard(0)])}, checkpoint_id=out)
    found = {"w": distribute_tensor(torch.zeros(8, 8), mesh, [Shard(0)])}
    checkpoint.load(found, checkpoint_id=out)
    assert torch.equal(found["w"].full_tensor(), whole)
    dist.barrier()
    # Taking two ranks down aborts now and then, on any disk.
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "save":
        out = os.environ["W"] + "/dcp"
        checkpoint.save(state(1), checkpoint_id=out + "/one")
        torch.multiprocessing.spawn(rank, args=(out + "/two",), nprocs=2)
        source = out
    else:
        source = os.environ["M"] + "/branches/main/dcp"
    check(source + "/one", 1)
    assert ".metadata" in os.listdir(source + "/two") and len(os.listdir(source + "/two")) == 3
