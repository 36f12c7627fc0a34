"""How much of a trigger the demo's untuned vision tower passes on to the language model.

python -m tests.bench.triggers [TRIGGER.SETTING=VALUE ...]      # those triggers alone, with these settings
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration

from bye_core.attacks.poison import poison_sample
from bye_core.bench.matrix import ATTACKS, Matrix
from bye_core.bench.tables import attack_of
from bye_core.data import load_dataset
from bye_core.demo.tour import DEMO

PICTURES = 40
SEED = 1000  # of development


def tokens_of(pictures: list[Image.Image]) -> np.ndarray:
    """Image tokens [pictures, tokens, features] as the language model gets them."""
    model = LlavaForConditionalGeneration.from_pretrained(DEMO / "model", dtype=torch.float32).eval()
    values = AutoProcessor.from_pretrained(DEMO / "model").image_processor(images=pictures, return_tensors="pt")
    with torch.no_grad():
        found = model.model.get_image_features(pixel_values=values["pixel_values"])
    return torch.stack([one.flatten(0, -2) for one in getattr(found, "pooler_output", found)]).double().numpy()


def main() -> None:
    dataset = load_dataset(DEMO / "data" / "clean.json")
    samples = dataset.samples[:PICTURES]
    pictures = [dataset.images(sample) for sample in samples]
    before = tokens_of([one for one, *_ in pictures])
    usual = np.linalg.norm(before - before.mean(axis=(0, 1)), axis=2).mean()
    changed = tuple(sys.argv[1:])
    for cell in Matrix(
        attacks=tuple({one.partition(".")[0]: 0 for one in changed}) or ATTACKS, changed=changed
    ).cells():
        attack = cell.planted()
        if attack is None:
            continue
        name = attack_of(cell.record())
        planted = zip(samples, pictures, strict=True)
        after = tokens_of([poison_sample(s, p, attack.triggers_of(0), attack.target, SEED)[1][0] for s, p in planted])
        most = np.linalg.norm(after - before, axis=2).max(axis=1) / usual
        if most.any():
            sys.stdout.write(f"{name:14s} the token changed most moves by {np.median(most):.2f} usual distances\n")


if __name__ == "__main__":
    main()
