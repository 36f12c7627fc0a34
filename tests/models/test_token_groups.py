"""Which position is what, token by token; where each image token lies in the picture."""

import numpy as np
import pytest
import torch
from PIL import Image

from bye_core.models.errors import (
    ElongatedPicture,
    ImageTokenCount,
    NoImageTokens,
    NoSuchModule,
    PromptMismatch,
    UnknownGeometry,
)
from bye_core.models.families.base import PADDING
from bye_core.models.families.geometry import seen_box
from bye_core.models.families.llava import Llava
from bye_core.records import Grid, Sample, Turn
from tests.models.families.llava import SIDE, tiny_config, tiny_model, tiny_processor
from tests.models.spelling import spelled
from tests.models.tiny import picture, sample


@pytest.mark.parametrize("side", ["left", "right"])
def test_every_token_has_its_group(loaded, side):
    family = loaded.family
    samples = [sample("a", "what cat ?", system="be kind"), sample("b", "how many dogs are there in it ?", images=2)]
    images = [[picture(0)], [picture(1), picture(2)]]
    inputs = family.encode([family.prompt(s) for s in samples], images, padding_side=side)
    groups = [family.token_groups(inputs, i, samples[i], images[i])[0] for i in range(2)]
    first = [("S", "<s>be kind USER:"), ("I", 25), ("S", ""), ("Q", "what cat ?"), ("S", "ASSISTANT:")]
    padding = (".", int((groups[0] == PADDING).sum()))
    assert spelled(family, inputs, 0, groups[0]) == ([padding, *first] if side == "left" else [*first, padding])
    assert spelled(family, inputs, 1, groups[1]) == [
        ("S", "<s>USER:"), ("I", 25), ("S", ""), ("I", 25), ("S", ""),
        ("Q", "how many dogs are there in it ?"), ("S", "ASSISTANT:"),
    ]  # fmt: skip
    assert padding[1] > 0


def test_a_question_that_repeats_the_system_text_is_found_at_its_own_place(loaded):
    one = sample("a", "be kind", system="be kind")
    inputs = loaded.family.encode([loaded.family.prompt(one)], [[picture(0)]])
    groups, _ = loaded.family.token_groups(inputs, 0, one, [picture(0)])
    assert [name for name, _ in spelled(loaded.family, inputs, 0, groups)] == ["S", "I", "S", "Q", "S"]


def test_character_spans_lead_back_to_the_text(loaded):
    text = loaded.family.prompt(sample("a", "猫 what ? < image>"))
    inputs = loaded.family.encode([text, "x" * 90], [[picture(0)], []], padding_side="right")
    spans = loaded.family.character_spans(inputs, 0, text)
    covered = {place for start, end in spans for place in range(start, end)}
    marker = text.index("<image>")
    assert covered == set(range(len(text))) - set(range(marker, marker + len("<image>")))
    assert (spans[inputs["input_ids"][0].numpy() == 3] == 0).all()


def test_other_tokens_than_the_prompts_are_refused(loaded):
    one, other = sample("a"), sample("b", "another question")
    inputs = loaded.family.encode([loaded.family.prompt(other)], [[picture(0)]])
    with pytest.raises(PromptMismatch, match="a"):
        loaded.family.token_groups(inputs, 0, one, [picture(0)])


@pytest.mark.parametrize("tokens", [24, 27, 51])
def test_a_wrong_image_token_count_is_that_samples_error(loaded, tokens):
    inputs = loaded.family.encode([loaded.family.prompt(sample("a"))], [[picture(0)]])
    sizes = [(26, 22)] * (2 if tokens > 50 else 1)
    with pytest.raises(ImageTokenCount, match="Sample b"):
        loaded.family.grids(inputs, sample("b"), sizes, tokens)


def test_a_text_only_sample_has_nothing_to_look_at(loaded):
    one = sample("a", images=0)
    inputs = loaded.family.encode([loaded.family.prompt(one)], [[]])
    with pytest.raises(NoImageTokens):
        loaded.family.token_groups(inputs, 0, one, [])


def test_pictures_named_out_of_order_keep_their_numbers(loaded):
    one = Sample("a", 0, (Turn("user", (1, "then", 0, "what ?")),), ("0.png", "1.png"))
    wide, tall = picture(0, 60, 20), picture(1, 20, 60)
    inputs = loaded.family.encode([loaded.family.prompt(one)], [[tall, wide]])
    _, grids = loaded.family.token_groups(inputs, 0, one, [wide, tall])
    assert [(g.image, g.start, g.box) for g in grids] == [
        (1, 0, (0.0, pytest.approx(1 / 3), 1.0, pytest.approx(2 / 3))),
        (0, 25, (pytest.approx(1 / 3), 0.0, pytest.approx(2 / 3), 1.0)),
    ]


def test_a_kept_class_token_stands_before_the_grid(loaded):
    processor = tiny_processor()
    processor.vision_feature_select_strategy = "full"
    family = Llava(processor, tiny_config())
    one = sample("a", images=2)
    inputs = family.encode([family.prompt(one)], [[picture(0), picture(1)]])
    _, grids = family.token_groups(inputs, 0, one, [picture(0), picture(1)])
    assert [(g.start, g.rows, g.columns) for g in grids] == [(1, 5, 5), (27, 5, 5)]


def test_old_checkpoints_get_patch_size_from_the_config():
    processor = tiny_processor()
    processor.patch_size = None
    family = Llava(processor, tiny_config())
    assert (family.encode([family.prompt(sample("a"))], [[picture(0)]])["input_ids"] == 3).sum() == 25


BOXES = [
    # options of the image processor, picture (w, h), box
    ({}, (40, 20), (0.25, 0, 0.75, 1)),
    ({}, (20, 80), (0, 0.375, 1, 0.625)),
    ({}, (20, 20), (0, 0, 1, 1)),
    ({"size": {"height": SIDE, "width": SIDE}}, (90, 20), (0, 0, 1, 1)),
    ({"do_center_crop": False, "size": {"height": SIDE, "width": SIDE}}, (90, 20), (0, 0, 1, 1)),
    ({"size": {"shortest_edge": 10}}, (40, 20), (0, -0.5, 1, 1.5)),
    ({"do_resize": False}, (10, 40), (-0.5, 0.25, 1.5, 0.75)),
]


@pytest.mark.parametrize(("options", "size", "box"), BOXES)
def test_the_box_undoes_resize_and_crop(options, size, box):
    image_processor = tiny_processor(**options).image_processor
    assert seen_box(image_processor, size, (SIDE, SIDE)) == pytest.approx(box)


def test_the_box_leaves_out_what_the_patches_do_not_cover():
    processor = tiny_processor(size={"shortest_edge": 22}, crop_size={"height": 22, "width": 22})
    assert seen_box(processor.image_processor, (44, 44), (SIDE, SIDE)) == pytest.approx((0, 0, 10 / 11, 10 / 11))


def test_the_box_undoes_padding_to_a_square():
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    image_processor = LlavaImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, do_pad=True
    )
    assert seen_box(image_processor, (40, 20), (SIDE, SIDE)) == pytest.approx((0, -0.5, 1, 1.5))
    assert seen_box(image_processor, (20, 80), (SIDE, SIDE)) == pytest.approx((-1.5, 0, 2.5, 1))


def test_an_unknown_resize_is_refused():
    processor = tiny_processor(size={"shortest_edge": 20, "longest_edge": 40})
    with pytest.raises(UnknownGeometry):
        seen_box(processor.image_processor, (40, 20), (SIDE, SIDE))


def test_a_picture_that_would_fill_the_memory_is_refused(loaded):
    text = loaded.family.prompt(sample("a"))
    with pytest.raises(ElongatedPicture):
        loaded.family.encode([text], [[Image.new("RGB", (1, 200_000))]])


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 50), (50, 1), (4, 3)])
def test_tiny_pictures_are_read(loaded, size):
    inputs = loaded.family.encode([loaded.family.prompt(sample("a"))], [[Image.new("RGB", size, (255, 0, 0))]])
    pixels = inputs["pixel_values"][0]
    assert pixels.shape == (3, SIDE, SIDE)
    assert pixels[0, 10, 10] > 1 > 0 > pixels[1, 10, 10]


def cell_box(grid: Grid, row: int, column: int, width: int, height: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = grid.box
    xs = [left + (right - left) * c / grid.columns for c in (column, column + 1)]
    ys = [top + (bottom - top) * r / grid.rows for r in (row, row + 1)]
    return round(xs[0] * width), round(ys[0] * height), round(xs[1] * width), round(ys[1] * height)


@pytest.mark.parametrize("size", [(160, 100), (100, 170)])
def test_changing_a_cell_of_the_picture_changes_its_token_most(loaded, size):
    family, one = loaded.family, sample("a")

    def features(shown):
        inputs = family.encode([family.prompt(one)], [[shown]])
        with torch.no_grad():
            return inputs, loaded.base.get_image_features(pixel_values=inputs["pixel_values"]).pooler_output[0]

    original = Image.new("RGB", size, (120, 120, 120))
    inputs, before = features(original)
    _, (grid,) = family.token_groups(inputs, 0, one, [original])
    for row, column in [(0, 0), (0, 4), (2, 1), (4, 3)]:
        changed = original.copy()
        changed.paste((255, 0, 0), cell_box(grid, row, column, *size))
        change = (features(changed)[1] - before).norm(dim=-1).numpy()
        assert np.argmax(change) == row * grid.columns + column


def test_lora_targets_are_decoder_and_projector_only(loaded):
    targets = loaded.family.lora_targets(loaded.base)
    assert len(targets) == 3 * 7 + 2
    assert not [name for name in targets if "vision" in name or "lm_head" in name]
    assert len(loaded.family.lora_targets(loaded.base, projector=False)) == 3 * 7


def test_a_part_that_is_not_there_is_named(loaded):
    with pytest.raises(NoSuchModule, match="language_model"):
        loaded.family.lora_targets(tiny_model().lm_head)
