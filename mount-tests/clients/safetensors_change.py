import os
from safetensors.numpy import load_file, save_file

path = os.environ["W"] + "/model.safetensors"
weights = load_file(path)
weights["model.embed.weight"][7] += 1
weights["step"][...] = 2
save_file(weights, path)
assert load_file(path)["step"] == 2
