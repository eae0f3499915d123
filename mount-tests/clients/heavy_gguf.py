"""gguf-py writes a model with several types of tensors, and reads it through a mapping."""
import os
import sys

import numpy as np
from gguf import GGUFReader, GGUFWriter, GGMLQuantizationType, quants

random = np.random.default_rng(1)
weights = {
    "token_embd.weight": random.normal(size=(512, 256)).astype(np.float32),
    "blk.0.attn_q.weight": random.normal(size=(256, 256)).astype(np.float16),
    "blk.0.ffn_up.weight": random.normal(size=(1024, 256)).astype(np.float32),
}
quantised = quants.quantize(weights["blk.0.ffn_up.weight"], GGMLQuantizationType.Q8_0)

if sys.argv[1] == "save":
    out = os.environ["W"] + "/gguf"
    os.makedirs(out)
    for _ in range(2):
        writer = GGUFWriter(out + "/model.gguf", "llama")
        writer.add_block_count(1)
        writer.add_context_length(512)
        for name, weight in weights.items():
            if name.endswith("ffn_up.weight"):
                writer.add_tensor(name, quantised, raw_dtype=GGMLQuantizationType.Q8_0)
            else:
                writer.add_tensor(name, weight)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    source = out
else:
    source = os.environ["M"] + "/branches/main/gguf"
reader = GGUFReader(source + "/model.gguf")
assert bytes(reader.fields["general.architecture"].parts[-1]) == b"llama"
found = {tensor.name: tensor for tensor in reader.tensors}
assert found.keys() == weights.keys()
for name, weight in weights.items():
    expected = quantised if name.endswith("ffn_up.weight") else weight
    assert np.array_equal(found[name].data, expected), name
