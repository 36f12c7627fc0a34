"""The image tokens of a photograph with the settings of published checkpoints: real processor classes, no weights."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image

from bye_core.models.families import family_class
from bye_core.records import IMAGE
from bye_core.train.preflight import TokenCounter
from tests.models.families import gemma3
from tests.models.tiny import sample, tiny_models


@dataclass
class Checkpoint:
    """Settings of a checkpoint, and what its processor makes of 640 x 480 and of 300 x 900 pixels.

    grids   (rows, columns) of each grid of the two images; an overview is the last, or the first of LLaVA-NeXT
    others  image tokens outside all grids: row ends, or a class token for each tile
    """

    image_processor: dict[str, Any]
    processor: dict[str, Any]
    vision: dict[str, Any]
    grids: tuple[list[tuple[int, int]], list[tuple[int, int]]]
    others: tuple[int, int] = (0, 0)
    config: dict[str, Any] = field(default_factory=dict)


def square(side):
    return {"height": side, "width": side}


def patches(side, merge, least, most):
    size = {"shortest_edge": least, "longest_edge": most}
    return {"patch_size": side, "merge_size": merge, "size": size}


def longest(edge):
    return {"longest_edge": edge}


CHECKPOINTS = {
    "llava": Checkpoint(
        {"size": {"shortest_edge": 336}, "crop_size": square(336)}, {"patch_size": 14}, {"patch_size": 14},
        ([(24, 24)], [(24, 24)]),
    ),
    "llava_next": Checkpoint(
        {
            "size": {"shortest_edge": 336}, "crop_size": square(336),
            "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
        },
        {"patch_size": 14}, {"patch_size": 14},
        # On 672 x 672 pixels: 48 columns, and 36 rows of 24 + 12 that hold no padding; on 336 x 1008.
        ([(24, 24), (36, 48)], [(24, 24), (72, 24)]), (36, 72),
    ),
    # 4 x 3 tiles have the proportions of the first image exactly, 1 x 3 those of the second.
    "internvl": Checkpoint(
        {"size": square(448), "min_patches": 1, "max_patches": 12}, {"image_seq_length": 256}, {},
        ([(16, 16)] * 13, [(16, 16)] * 4),
    ),
    # Sides are rounded to 28 pixels: 644 x 476 and 308 x 896.
    "qwen2_vl": Checkpoint(patches(14, 2, 3136, 12845056), {}, {}, ([(17, 23)], [(32, 11)])),
    "qwen2_5_vl": Checkpoint(patches(14, 2, 3136, 12845056), {}, {}, ([(17, 23)], [(32, 11)])),
    # To 32 pixels: 640 x 480 and 288 x 896.
    "qwen3_vl": Checkpoint(patches(16, 2, 65536, 16777216), {}, {}, ([(15, 20)], [(28, 9)])),
    "glm4v": Checkpoint(patches(14, 2, 12544, 9633792), {}, {}, ([(17, 23)], [(32, 11)])),
    # Scaled to 2,048 pixels: 4 x 3 and 2 x 4 tiles of 512.
    "smolvlm": Checkpoint(
        {"size": longest(2048), "max_image_size": longest(512)}, {"image_seq_len": 64}, {},
        ([(8, 8)] * 13, [(8, 8)] * 9),
    ),
    # Scaled to 1,456 pixels: 4 x 3 and 2 x 4 tiles of 364.
    "idefics3": Checkpoint(
        {"size": longest(1456), "max_image_size": longest(364)}, {"image_seq_len": 169}, {},
        ([(13, 13)] * 13, [(13, 13)] * 9),
    ),
    "paligemma": Checkpoint({"size": square(448)}, {"image_seq_length": 1024}, {}, ([(32, 32)], [(32, 32)])),
    "gemma3": Checkpoint(
        {"size": square(896)},
        {"image_seq_length": 256, "full_image_sequence": f"\n\n{gemma3.START}{gemma3.SOFT * 256}{gemma3.END}\n\n"},
        {}, ([(16, 16)], [(16, 16)]),
    ),
    # Patches of 16 pixels, 3 x 3 to a token, at most 280 tokens: 912 x 672 and 432 x 1392 pixels.
    "gemma4": Checkpoint(
        {"patch_size": 16, "pooling_kernel_size": 3, "max_soft_tokens": 280}, {"image_seq_length": 280}, {},
        ([(14, 19)], [(28, 9)]),
    ),
    "pixtral": Checkpoint(
        {"size": longest(1024), "patch_size": square(16)}, {"patch_size": 16}, {}, ([(30, 40)], [(57, 19)])
    ),
    "mistral3": Checkpoint(
        {"size": longest(1540), "patch_size": square(14)}, {"patch_size": 14}, {}, ([(18, 23)], [(33, 11)])
    ),
    # 2 x 1 and 1 x 2 tiles of 560 pixels, with a class token each.
    "mllama": Checkpoint(
        {"size": square(560), "max_image_tiles": 4}, {}, {"image_size": 560, "patch_size": 14},
        ([(40, 40)] * 2, [(40, 40)] * 2), (2, 2),
    ),
}  # fmt: skip


def family_of(name):
    tiny, checkpoint = tiny_models()[name], CHECKPOINTS[name]
    processor, config = tiny.processor(), tiny.config()
    size = type(processor.image_processor.size)
    for own, values in (
        (processor.image_processor, checkpoint.image_processor),
        (processor, checkpoint.processor),
        (config.vision_config, checkpoint.vision),
    ):
        for key, value in values.items():
            setattr(own, key, size(**value) if key == "size" else value)
    return family_class(config)(processor, config)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_tokens_of_a_photograph(name):
    family, one, checkpoint = family_of(name), sample("a"), CHECKPOINTS[name]
    counter = TokenCounter(family)
    for size, expected, others in zip([(640, 480), (300, 900)], checkpoint.grids, checkpoint.others, strict=True):
        shown = [Image.new("RGB", size)]
        inputs = family.encode([family.prompt(one)], [shown])
        groups, grids = family.token_groups(inputs, 0, one, shown)
        assert [(grid.rows, grid.columns) for grid in grids] == expected
        assert int((groups == IMAGE).sum()) == sum(rows * columns for rows, columns in expected) + others
        whole = family.encode([family.chat(one.turns, generation=False)], [shown])
        assert counter(one, shown) == whole["input_ids"].shape[1]
