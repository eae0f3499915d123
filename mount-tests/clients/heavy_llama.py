"""llama.cpp maps a model from the mount, reads it, and reads it past the cache: it says what it says of the plain file."""
import os
import shutil
import sys
import tempfile

import numpy as np
import xllamacpp
from gguf import GGMLQuantizationType, GGUFWriter, quants

VOCABULARY, WIDTH, HIDDEN, BLOCKS, HEADS = 288, 64, 128, 2, 4


def tokens():
    """Three special ones, a byte each, and some that are words."""
    special = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
    single = [(f"<0x{byte:02X}>", 6) for byte in range(256)]
    words = [(f"t{number}", 1) for number in range(VOCABULARY - len(special) - len(single))]
    return special + single + words


def shapes():
    yield "token_embd.weight", (VOCABULARY, WIDTH)
    yield "output_norm.weight", (WIDTH,)
    yield "output.weight", (VOCABULARY, WIDTH)
    for block in range(BLOCKS):
        at = f"blk.{block}."
        yield at + "attn_norm.weight", (WIDTH,)
        yield at + "ffn_norm.weight", (WIDTH,)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"{at}{name}.weight", (WIDTH, WIDTH)
        yield at + "ffn_gate.weight", (HIDDEN, WIDTH)
        yield at + "ffn_up.weight", (HIDDEN, WIDTH)
        yield at + "ffn_down.weight", (WIDTH, HIDDEN)


def write(path, block_type):
    random = np.random.default_rng(7)
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token for token, _ in tokens()])
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types([kind for _, kind in tokens()])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    for name, shape in shapes():
        weight = random.normal(0, 0.5, shape).astype(np.float32)
        if block_type is None or len(shape) == 1:
            writer.add_tensor(name, weight)
        else:
            writer.add_tensor(name, quants.quantize(weight, block_type), raw_dtype=block_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def completion(path, mode):
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel, params.warmup = 32, 1, False
    params.load_mode = getattr(xllamacpp.llama_load_mode, "LLAMA_LOAD_MODE_" + mode)
    server = xllamacpp.Server(params)
    said = server.handle_completions({"prompt": "t1 t2", "max_tokens": 8, "temperature": 0, "seed": 1})
    return said["choices"][0]["text"]


MODELS = {"f32.gguf": None, "q8_0.gguf": GGMLQuantizationType.Q8_0}
if sys.argv[1] == "save":
    out = os.environ["W"] + "/llama"
    os.makedirs(out)
    for model, block_type in MODELS.items():
        write(f"{out}/{model}", block_type)
source = os.environ["W"] + "/llama" if sys.argv[1] == "save" else os.environ["M"] + "/branches/main/llama"
for model in MODELS:
    with tempfile.TemporaryDirectory() as folder:
        plain = shutil.copy(f"{source}/{model}", folder)
        expected = completion(plain, "MMAP")
    for mode in ("MMAP", "NONE", "DIRECT_IO"):
        assert completion(f"{source}/{model}", mode) == expected, (model, mode)
