"""transformers' Trainer saves every step and keeps two checkpoints, goes on from the last, and a sharded model is loaded again."""
import os
import sys

os.environ.update(HF_HUB_OFFLINE="1", WANDB_DISABLED="true")
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

config = LlamaConfig(
    vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2
)


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, at):
        ids = torch.arange(at, at + 16) % 128
        return {"input_ids": ids, "labels": ids}


def train(model, steps, **how):
    settings = TrainingArguments(
        output_dir=out, max_steps=steps, save_steps=1, save_total_limit=2, per_device_train_batch_size=4,
        report_to=[], use_cpu=True, disable_tqdm=True, logging_steps=1,
    )
    trainer = Trainer(model=model, args=settings, train_dataset=Numbers())
    trainer.train(**how)
    return trainer.model


def checkpoints(folder):
    return sorted(name for name in os.listdir(folder) if name.startswith("checkpoint-"))


if sys.argv[1] == "save":
    out = os.environ["W"] + "/run"
    train(LlamaForCausalLM(config), 4)
    assert checkpoints(out) == ["checkpoint-3", "checkpoint-4"], checkpoints(out)
    model = train(LlamaForCausalLM(config), 6, resume_from_checkpoint=True)
    assert checkpoints(out) == ["checkpoint-5", "checkpoint-6"], checkpoints(out)
    model.save_pretrained(os.environ["W"] + "/sharded", max_shard_size="30KB")
    source = os.environ["W"]
else:
    source = os.environ["M"] + "/branches/main"
assert checkpoints(source + "/run") == ["checkpoint-5", "checkpoint-6"]
one = AutoModelForCausalLM.from_pretrained(source + "/run/checkpoint-6").state_dict()
other = AutoModelForCausalLM.from_pretrained(source + "/sharded").state_dict()
assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
