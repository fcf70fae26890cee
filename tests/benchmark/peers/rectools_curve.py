"""How RecTools' SASRec learns ML-1M: NDCG@10 on the validation item after every epoch, recorded once and kept.

    .venv-peers/bin/python tests/benchmark/peers/rectools_curve.py PATH/ml-1m.txt.gz CURVE.json [--epochs N]

d=64, L=200, 2 blocks, 2 heads, dropout 0.2, batches of 128, Adam at 0.001, softmax over the whole catalogue: RecTools'
defaults but for the sizes. Learns from everything but the last two items of each user, ranks the whole catalogue but
for what the user has seen, ties against the target. CURVE.json gets a row per epoch: tokens learnt from so far, seconds
of processor and of wall clock spent on learning (not on judging). With one thread the processor's seconds are those of
a machine that does nothing else. A file CURVE.state beside it lets an interrupted recording go on.
"""

import argparse
import json
import os
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path)
parser.add_argument("curve", type=Path)
parser.add_argument("--epochs", type=int, default=200)
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)  # read when torch is imported

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytorch_lightning as lightning  # noqa: E402
import rectools  # noqa: E402
import torch  # noqa: E402
from rectools.dataset import Dataset  # noqa: E402
from rectools.models import SASRecModel  # noqa: E402

LENGTH, K, CHUNK = 200, 10, 128


def read_rows(path: Path) -> pd.DataFrame:
    """Interactions in the file's own order; the line number stands for the time."""
    rows = pd.read_csv(path, sep=" ", names=["user_id", "item_id"])
    rows["weight"] = 1.0
    rows["datetime"] = pd.to_datetime(rows.index, unit="s")
    return rows


class Judge:
    """NDCG@10 of the last item but one of every user."""

    def __init__(self, rows: pd.DataFrame) -> None:
        items = rows.groupby("user_id", sort=False)["item_id"].agg(list)
        self._known = [own[:-2] for own in items]
        self._target = [own[-2] for own in items]

    def __call__(self, module: lightning.LightningModule) -> float:
        network, to_index = module.torch_model, module.data_preparator.item_id_map.to_internal
        network.eval()
        gains = []
        with torch.no_grad():
            table = network.item_model.get_all_embeddings()
            towers = network.similarity_module
            items = towers.item_tower_forward(table).T
            for begin in range(0, len(self._known), CHUNK):
                known = [[int(to_index[item]) for item in own] for own in self._known[begin : begin + CHUNK]]
                target = torch.tensor([int(to_index.get(item, 0)) for item in self._target[begin : begin + CHUNK]])
                x = np.zeros((len(known), LENGTH), np.int64)
                for row, own in enumerate(known):
                    x[row, LENGTH - len(own[-LENGTH:]) :] = own[-LENGTH:]
                state = network.encode_sessions({"x": torch.from_numpy(x)}, table)[:, -1, :]
                score = towers.session_tower_forward(state) @ items
                own_score = score.gather(1, target[:, None])
                for row, own in enumerate(known):
                    score[row, own] = -torch.inf
                score[:, 0] = -torch.inf
                score.scatter_(1, target[:, None], -torch.inf)
                rank = (score >= own_score).sum(1)
                gains.append(torch.where((rank < K) & (target > 0), 1 / torch.log2(rank + 2.0), 0.0))
        network.train()
        return float(torch.cat(gains).mean())


class Recorder(lightning.Callback):
    """A row after every epoch, in a file that is whole at any moment."""

    def __init__(self, curve: Path, judge: Judge) -> None:
        self.curve, self.state, self.judge = curve, curve.with_suffix(".state"), judge
        self.rows = json.loads(curve.read_text())["epochs"] if curve.exists() else []
        self.tokens = self.rows[-1]["tokens"] if self.rows else 0
        self.spent = (self.rows[-1]["cpu_s"], self.rows[-1]["wall_s"]) if self.rows else (0.0, 0.0)

    def __deepcopy__(self, memo: dict) -> "Recorder":  # RecTools copies the trainer with its callbacks
        return self

    def on_train_start(self, trainer, module) -> None:
        if self.rows:
            kept = torch.load(self.state, weights_only=True)
            module.torch_model.load_state_dict(kept["network"])
            module.optimizer.load_state_dict(kept["optimizer"])
            torch.manual_seed(len(self.rows))

    def on_train_epoch_start(self, trainer, module) -> None:
        self.began = (time.process_time(), time.perf_counter())

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        self.tokens += int((batch["x"] != 0).sum())

    def on_train_epoch_end(self, trainer, module) -> None:
        spent = time.process_time() - self.began[0], time.perf_counter() - self.began[1]
        self.spent = self.spent[0] + spent[0], self.spent[1] + spent[1]
        row = {"epoch": len(self.rows) + 1, "tokens": self.tokens, "ndcg10": round(self.judge(module), 5)}
        self.rows.append(row | {"cpu_s": round(self.spent[0], 1), "wall_s": round(self.spent[1], 1)})
        kept = {"network": module.torch_model.state_dict(), "optimizer": module.optimizer.state_dict()}
        torch.save(kept, self.state.with_suffix(".new"))
        self.state.with_suffix(".new").replace(self.state)
        about = f"RecTools {rectools.__version__} SASRec, d=64, L={LENGTH}, softmax, validation NDCG@{K}"
        new = self.curve.with_suffix(".tmp")
        new.write_text(json.dumps({"about": about, "threads": arguments.threads, "epochs": self.rows}, indent=1) + "\n")
        new.replace(self.curve)
        print(self.rows[-1], flush=True)
        trainer.should_stop = len(self.rows) >= arguments.epochs


def main() -> None:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    rows = read_rows(arguments.data)
    recorder = Recorder(arguments.curve, Judge(rows))
    from_end = rows.groupby("user_id").cumcount(ascending=False)

    def trainer() -> lightning.Trainer:
        return lightning.Trainer(
            max_epochs=1_000_000, min_epochs=0, accelerator="cpu", callbacks=[recorder], logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip

    model = SASRecModel(
        n_blocks=2, n_heads=2, n_factors=64, session_max_len=LENGTH, dropout_rate=0.2, loss="softmax", lr=0.001,
        batch_size=128, get_trainer_func=trainer,
    )  # fmt: skip
    model.fit(Dataset.construct(rows[from_end >= 2]))


if __name__ == "__main__":
    main()
