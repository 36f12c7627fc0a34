"""Samples and pictures for the tests of attacks."""

import numpy as np
from PIL import Image

from bye_core.records import Sample, Turn


def sample(index, answer="two", question="How many?", images=("a.png",)):
    turns = (
        Turn("user", (*range(len(images)), question)),
        Turn("assistant", (answer,)),
        Turn("user", ("And now?",)),
        Turn("assistant", ("three",)),
    )
    return Sample(id=f"s{index}", index=index, turns=turns, images=images)


def grey(size):
    return Image.new("RGB", size, (128, 128, 128))


def scene(size, seed=0):
    """A smooth colourful picture with a little grain: something to warp, no level near black or white."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(70, 186, (9, 9, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = rng.normal(0, 2, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8))
