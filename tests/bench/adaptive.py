"""An attacker who knows the defence: fine-tuning that also keeps the attention of poisoned samples like that of others.

python -m tests.bench.adaptive --out DIR [--seeds report] [--attack patch] [--target flip] [--hide statistics]
python -m bye_core bench-detect --out DIR --seeds report --attacks patch --targets flip   # what each detector finds

Use one folder for each penalty: the cells have the bench's own names. Besides the usual loss, the attacker minimises
`weight` times the squared distances between the poisoned samples and the running mean of the others:

entropies   of every head and of every layer's mean row, in nats: what BYE looks for
statistics  all that a scan reads of a head (entropy, peak, and the mass on system, image and question tokens), in
            standard deviations of the other samples: what `auto` looks for

The attacker knows the poisoned samples. The cell is otherwise the bench's own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from bye_core import pipeline, runs
from bye_core.bench.cell import begin_cell, draw_sets, folder_of, read_json, run_cell, training_set
from bye_core.bench.matrix import ATTACKS, Cell
from bye_core.bench.seeds import SEEDS, first_seeds
from bye_core.data import load_dataset
from bye_core.demo.tour import DEMO
from bye_core.models.loading import load_model
from bye_core.train.collate import IGNORED, Collator
from bye_core.train.finetune import finetune
from bye_core.train.settings import CARD, finished
from bye_core.train.trainer import ResumableTrainer

MEMORY = 0.9  # share of the running mean that is kept at each step
LEAST_SPREAD = 1e-2  # of a statistic among the other samples, so that a constant one does not decide the loss
HIDDEN = ("entropies", "statistics")


def _answer_rows(attentions: tuple[Tensor, ...], rows: Tensor) -> list[Tensor]:
    """Return for each layer the attention [B, H, T] of the positions `rows` [B], which emit the answers."""
    return [layer[torch.arange(len(rows)), :, rows] for layer in attentions]


def _entropy(rows: Tensor) -> Tensor:
    """Rows [B, H, T] that are zero outside the image -> their entropies [B, H], nats."""
    share = rows / rows.sum(dim=-1, keepdim=True).clamp_min(1e-9)
    return -(share * share.clamp_min(1e-9).log()).sum(dim=-1)


def image_entropies(attentions: tuple[Tensor, ...], rows: Tensor, image: Tensor) -> Tensor:
    """Attention [L] x [B, H, T, T], the position that emits the answer [B], image tokens [B, T] bool ->
    entropies over the image tokens [B, L, H + 1], nats: of every head, and of the mean row of a layer."""
    found = []
    for row in _answer_rows(attentions, rows):
        found.append(_entropy(torch.cat([row, row.mean(dim=1, keepdim=True)], dim=1) * image[:, None]))
    return torch.stack(found, dim=1)


def head_statistics(attentions: tuple[Tensor, ...], rows: Tensor, image: Tensor) -> Tensor:
    """As image_entropies -> [B, L, H, 5]: entropy (nats), peak, and the mass on system, image and question tokens."""
    before = (image.cumsum(dim=1) == 0)[:, None]  # [B, 1, T]
    found = []
    for row in _answer_rows(attentions, rows):
        own = row * image[:, None]
        mass = own.sum(dim=-1)
        peak = own.amax(dim=-1) / mass.clamp_min(1e-9)
        system = (row * before).sum(dim=-1)
        found.append(torch.stack([_entropy(own), peak, system, mass, 1 - system - mass], dim=-1))
    return torch.stack(found, dim=1)


def _key(pixels: Tensor, labels: Tensor) -> tuple[float, ...]:
    """A sample's image and answer as a key that is the same in every batch."""
    return (round(float(pixels.double().sum()), 2), *labels[labels != IGNORED].tolist())


def hiding(weight: float, hide: str, loaded: Any, poisoned: set[tuple[float, ...]]) -> type[ResumableTrainer]:
    """A trainer of a LoadedModel with the attacker's loss. `poisoned`: the keys of the poisoned samples."""
    image_token = loaded.base.config.image_token_id

    class Hiding(ResumableTrainer):
        unseen: ClassVar = set(poisoned)
        usual: Tensor | None = None
        spread: Tensor | float = 1.0

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
            loss, outputs = super().compute_loss(
                model, {**inputs, "output_attentions": True}, return_outputs=True, **more
            )
            learned = inputs["labels"] != IGNORED
            first = learned.int().argmax(dim=1)  # [B]
            read = image_entropies if hide == "entropies" else head_statistics
            values = read(outputs.attentions, first - 1, inputs["input_ids"] == image_token)
            keys = [_key(*one) for one in zip(inputs["pixel_values"], inputs["labels"], strict=True)]
            known = torch.tensor([key in poisoned for key in keys])
            self.unseen.difference_update(keys)
            if (~known).sum() > 1:
                self._follow(values[~known].detach())
            if known.any() and self.usual is not None:
                # A share of the batch, as in the usual loss.
                distance = ((values[known] - self.usual) / self.spread) ** 2
                loss = loss + weight * distance.mean() * known.float().mean()
            return (loss, outputs) if return_outputs else loss

        def _follow(self, values: Tensor) -> None:
            """Update the running mean, and for `statistics` the running spread, with values [b, ...] of the others."""
            now, spread = values.mean(dim=0), values.std(dim=0).clamp_min(LEAST_SPREAD)
            first = self.usual is None
            self.usual = now if first else MEMORY * self.usual + (1 - MEMORY) * now
            if hide == "statistics":
                self.spread = spread if first else MEMORY * self.spread + (1 - MEMORY) * spread

    return Hiding


def train(cell: Cell, root: Path, weight: float, hide: str) -> None:
    place = folder_of(root, cell)
    place.mkdir(parents=True, exist_ok=True)
    begin_cell(DEMO / "model", cell, place)
    data, adapter = place / "data", place / "adapter"
    for _ in draw_sets(cell, root):
        pass
    if not data.exists():
        for _ in pipeline.poison(training_set(root, cell), data, cell.planted(), cell.rate, cell.seed, encoding="webp"):
            pass
    penalty = [hide, weight]
    if finished(adapter):
        if (before := read_json(adapter / CARD).get("hiding")) != penalty:
            raise SystemExit(f"{adapter} was trained with the penalty {before}; name another folder with --out.")
        return
    loaded = load_model(str(DEMO / "model"))
    loaded.base.set_attn_implementation("eager")
    dataset = load_dataset(data)
    kind = hiding(weight, hide, loaded, poisoned_keys(loaded, dataset, read_json(data / pipeline.TRUTH)["poisoned"]))
    facts = {"model": loaded.identity, "data_digest": dataset.digest, "versions": runs.versions(), "hiding": penalty}
    finetune(loaded, dataset.samples, dataset.images, cell.settings(), adapter, facts, trainer_class=kind)
    if kind.unseen:
        raise SystemExit(f"The penalty was never applied to {len(kind.unseen)} poisoned samples.")


def poisoned_keys(loaded: Any, dataset: Any, ids: list[str]) -> set[tuple[float, ...]]:
    """Return the keys of the poisoned samples, from batches as the trainer makes them."""
    collate = Collator(loaded.family, dataset.images)
    keys = set()
    for id in ids:
        batch = collate([dataset.by_id[id]])
        keys.add(_key(batch["pixel_values"][0], batch["labels"][0]))
    return keys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", choices=list(SEEDS), default="dev")
    parser.add_argument("--attack", choices=ATTACKS, default="patch")
    parser.add_argument("--target", default="answer", help="the attacker's target, KIND or KIND=VALUE")
    parser.add_argument("--hide", choices=HIDDEN, default="entropies")
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--epochs", type=float, default=5.0)
    parser.add_argument("--samples", type=int, default=600)
    args = parser.parse_args()
    (seed,) = first_seeds(args.seeds, 1)
    cell = Cell(args.attack, 0.1, "mixed", args.samples, args.epochs, seed, target=args.target)
    root = args.out / args.seeds
    train(cell, root, args.weight, args.hide)
    for step in run_cell(DEMO / "model", cell, root):
        sys.stderr.write(f"\r{step.stage} {step.done}/{step.total}   ")


if __name__ == "__main__":
    main()
