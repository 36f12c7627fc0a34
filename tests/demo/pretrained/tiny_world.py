"""A folder with a few photographs, and a base model whose parts are tiny and random instead of pretrained."""

import json

import numpy as np
from PIL import Image
from transformers import LlamaConfig

from bye_core.demo.architecture import chatml_tokenizer, decoder_sizes
from bye_core.demo.pretrained.efficientnet import efficientnet_config, open_gates
from bye_core.demo.pretrained.models import SmolFastVlm
from bye_core.demo.pretrained.smollm2 import with_image_token
from bye_core.demo.recipe import BaseRecipe

COLORS = {"hat": (200, 30, 30), "shoes": (30, 30, 200), "dress": (20, 20, 20)}
RECIPE = BaseRecipe(
    image_size=64, patch=32, width=16, feed_forward=32, heads=2, layers=2, vocabulary=300, initializer_range=0.1
)


class TinyFastVlm(SmolFastVlm):
    recipe = RECIPE

    def make_tokenizer(self, texts, recipe):
        return with_image_token(chatml_tokenizer(texts, recipe.vocabulary, [], {}))

    def make_model(self, tokenizer, recipe):
        return self._model(tokenizer, recipe, LlamaConfig(**decoder_sizes(tokenizer, recipe)))

    def tower_config(self, recipe):
        return efficientnet_config(recipe.image_size, width=0.1, depth=0.1, features=128)

    def load_tower(self, tower):
        open_gates(tower)


def write_garments(folder, counts=(24, 6, 12)):
    """Write a folder as `read_garments` expects it; returns the folder."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for part, count in zip(("train", "validation", "test"), counts, strict=True):
        records = []
        for n in range(count):
            label, color = list(COLORS.items())[n % len(COLORS)]
            picture = np.clip(rng.normal(color, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
            name = f"images/{part}-{n}.jpg"
            Image.fromarray(picture).save(folder / name)
            turns = [{"from": "human", "value": "<image>\n?"}, {"from": "gpt", "value": label}]
            records.append({"id": f"{part}-{n}", "image": name, "conversations": turns})
        (folder / f"{part}.json").write_text(json.dumps(records), encoding="utf-8")
    return folder
