"""Keras saves whole models and weights alone, once over what was there, and loads them."""
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np

given = np.random.default_rng(3).normal(size=(4, 64)).astype(np.float32)


def model(seed):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Input((64,)), keras.layers.Dense(256, "relu"), keras.layers.Dense(10)]
    return keras.Sequential(layers)


expected = np.asarray(model(2)(given))
if sys.argv[1] == "save":
    out = os.environ["W"] + "/keras"
    os.makedirs(out)
    for seed in [1, 2]:
        model(seed).save(out + "/model.keras")
        model(seed).save_weights(out + "/model.weights.h5")
    source = out
else:
    source = os.environ["M"] + "/branches/main/keras"
assert np.allclose(np.asarray(keras.models.load_model(source + "/model.keras")(given)), expected)
other = model(1)
other.load_weights(source + "/model.weights.h5")
assert np.allclose(np.asarray(other(given)), expected)
