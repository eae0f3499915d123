"""One process appends to a file of HDF5 while another reads it, as long trainings log their metrics."""
import os
import subprocess
import sys

import h5py
import numpy

path = os.path.join(os.environ["W"], "metrics.h5")
READER = """
import sys, h5py, numpy
with h5py.File(sys.argv[1], "r", libver="latest", swmr=True) as file:
    data = file["loss"]
    print("open", flush=True)
    for line in sys.stdin:
        data.refresh()
        wanted = int(line)
        assert data.shape == (wanted,), (data.shape, wanted)
        assert (data[:] == numpy.arange(wanted)).all()
        print(wanted, flush=True)
"""
with h5py.File(path, "w", libver="latest") as file:
    data = file.create_dataset("loss", (0,), maxshape=(None,), dtype="i8", chunks=(1000,))
    file.swmr_mode = True
    reader = subprocess.Popen(
        [sys.executable, "-B", "-c", READER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout.readline() == "open\n"
    for end in range(500, 10_000, 500):
        data.resize((end,))
        data[end - 500 : end] = numpy.arange(end - 500, end)
        data.flush()
        print(end, file=reader.stdin, flush=True)
        assert reader.stdout.readline() == f"{end}\n", "the reader saw something else"
    reader.stdin.close()
    assert reader.wait() == 0
