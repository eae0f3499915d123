"""Lightning keeps the two best checkpoints and a link to the last, and goes on from it."""
import os
import sys

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(32, 32)

    def training_step(self, batch, _):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())


def fit(epochs, **how):
    data = torch.utils.data.TensorDataset(torch.randn(64, 32))
    keep = ModelCheckpoint(out, filename="{epoch}-{loss:.4f}", monitor="loss", save_top_k=2, save_last="link", every_n_train_steps=2)
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", callbacks=[keep], logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=out,
    )
    trainer.fit(Model(), torch.utils.data.DataLoader(data, batch_size=8), **how)


if sys.argv[1] == "save":
    out = os.environ["W"] + "/lightning"
    fit(2)
    fit(3, ckpt_path=out + "/last.ckpt", weights_only=False)
    source = out
else:
    source = os.environ["M"] + "/branches/main/lightning"
assert Model.load_from_checkpoint(source + "/last.ckpt").layer.weight.shape == (32, 32)
assert os.path.islink(source + "/last.ckpt") and len(os.listdir(source)) >= 3
