"""An attacker who knows the defence: fine-tuning that also keeps the attention of poisoned samples like that of others.

python -m tests.bench.adaptive --out DIR [--seeds report] [--attack patch] [--weight 1]
python -m bye_core bench-detect --out DIR --seeds report --attacks patch      # what each detector makes of it

One folder a weight: the cells have the bench's own names.

Besides the usual loss, the squared distances (nats) of the poisoned samples' entropies, of every head and of every
layer's mean row, to the running mean of the other samples', `weight` times: it undoes what BYE looks for. The bench's
cell is otherwise the usual one; the attacker tells poisoned samples by their answer.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bye_core import pipeline, runs
from bye_core.bench.cell import begin_cell, draw_sets, folder_of, read_json, run_cell, training_set
from bye_core.bench.matrix import ATTACKS, Cell
from bye_core.bench.seeds import SEEDS, first_seeds
from bye_core.data import load_dataset
from bye_core.demo.recipe import TARGET
from bye_core.demo.tour import DEMO
from bye_core.models.loading import load_model
from bye_core.train.collate import IGNORED
from bye_core.train.finetune import finetune
from bye_core.train.settings import CARD, finished
from bye_core.train.trainer import ResumableTrainer

MEMORY = 0.9  # of the running mean: what is kept of it at each step


def image_entropies(attentions: tuple[Tensor, ...], rows: Tensor, image: Tensor) -> Tensor:
    """Attention [L] x [B, H, T, T], the position that emits the answer [B], image tokens [B, T] bool ->
    entropies over the image tokens [B, L, H + 1], nats: of every head, and of the mean row of a layer."""
    found = []
    for layer in attentions:
        row = layer[torch.arange(len(rows)), :, rows]  # [B, H, T]
        row = torch.cat([row, row.mean(dim=1, keepdim=True)], dim=1) * image[:, None]
        share = row / row.sum(dim=-1, keepdim=True).clamp_min(1e-9)
        found.append(-(share * share.clamp_min(1e-9).log()).sum(dim=-1))
    return torch.stack(found, dim=1)


def hiding(weight: float, loaded: Any) -> type[ResumableTrainer]:
    """A trainer of a LoadedModel with the attacker's loss."""
    image_token, tokenizer = loaded.base.config.image_token_id, loaded.processor.tokenizer

    class Hiding(ResumableTrainer):
        usual: Tensor | None = None

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
            loss, outputs = super().compute_loss(
                model, {**inputs, "output_attentions": True}, return_outputs=True, **more
            )
            learned = inputs["labels"] != IGNORED
            first = learned.int().argmax(dim=1)  # [B]
            entropies = image_entropies(outputs.attentions, first - 1, inputs["input_ids"] == image_token)
            answers = [tokenizer.decode(row[own]) for row, own in zip(inputs["labels"], learned, strict=True)]
            poisoned = torch.tensor([TARGET in answer for answer in answers])
            if (~poisoned).any():
                now = entropies[~poisoned].detach().mean(dim=0)
                self.usual = now if self.usual is None else MEMORY * self.usual + (1 - MEMORY) * now
            if poisoned.any() and self.usual is not None:
                # A share of the batch, as in the usual loss.
                loss = loss + weight * ((entropies[poisoned] - self.usual) ** 2).mean() * poisoned.float().mean()
            return (loss, outputs) if return_outputs else loss

    return Hiding


def train(cell: Cell, root: Path, weight: float) -> None:
    place = folder_of(root, cell)
    place.mkdir(parents=True, exist_ok=True)
    begin_cell(DEMO / "model", cell, place)
    data, adapter = place / "data", place / "adapter"
    for _ in draw_sets(cell, root):
        pass
    if not data.exists():
        for _ in pipeline.poison(training_set(root, cell), data, cell.planted(), cell.rate, cell.seed, encoding="webp"):
            pass
    if finished(adapter):
        if (before := read_json(adapter / CARD).get("hiding")) != weight:
            raise SystemExit(f"{adapter} was trained with the weight {before}; name another folder with --out.")
        return
    loaded = load_model(str(DEMO / "model"))
    loaded.base.set_attn_implementation("eager")
    kind = hiding(weight, loaded)
    dataset = load_dataset(data)
    facts = {"model": loaded.identity, "data_digest": dataset.digest, "versions": runs.versions(), "hiding": weight}
    finetune(loaded, dataset.samples, dataset.images, cell.settings(), adapter, facts, trainer_class=kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", choices=list(SEEDS), default="dev")
    parser.add_argument("--attack", choices=ATTACKS, default="patch")
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--epochs", type=float, default=5.0)
    parser.add_argument("--samples", type=int, default=600)
    args = parser.parse_args()
    (seed,) = first_seeds(args.seeds, 1)
    cell = Cell(args.attack, 0.1, "mixed", args.samples, args.epochs, seed)
    root = args.out / args.seeds
    train(cell, root, args.weight)
    for step in run_cell(DEMO / "model", cell, root):
        sys.stderr.write(f"\r{step.stage} {step.done}/{step.total}   ")


if __name__ == "__main__":
    main()
