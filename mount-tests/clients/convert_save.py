"""NumPy and safetensors save a model: floats of several types, an array in Fortran order, whole numbers."""
import os
import numpy as np
from safetensors.numpy import save_file

random = np.random.default_rng(7)
weights = {
    "layer.weight": (random.standard_normal((64, 96)) * 0.02).astype("f4"),
    "layer.bias": random.standard_normal(96).astype("f4"),
    "half": random.standard_normal((4, 32)).astype("f2"),
    "steps": np.arange(5, dtype="i8"),
}
np.savez("expected.npz", **weights)
save_file(weights, os.environ["W"] + "/m.safetensors", metadata={"step": "1"})
turned = {name: np.asfortranarray(value) for name, value in weights.items()}
np.savez(os.environ["W"] + "/m.npz", **turned)
