"""LLaVA-NeXT's and OneVision's mosaics at the sizes of their real checkpoints; elongated pictures."""

import numpy as np
import pytest
from PIL import Image

from bye_core.models.errors import ElongatedPicture, ImageTokenTotal
from bye_core.models.families.llava_next import LlavaNext
from bye_core.models.families.llava_onevision import LlavaOnevision
from bye_core.models.families.mistral3 import Mistral3
from tests.models.families import llava_next, llava_onevision, mistral3
from tests.models.tiny import sample

CANVASES = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]


def real_sized(family, tiny, tile, patch, canvases, ratio=None):
    """A tiny family with the sizes of a real checkpoint; without weights."""
    processor, config = tiny.tiny_processor(), tiny.tiny_config()
    processor.patch_size = config.vision_config.patch_size = patch
    processor.image_processor.image_grid_pinpoints = canvases
    if ratio:
        processor.num_image_tokens, processor.vision_aspect_ratio, config.vision_aspect_ratio = 27**2, ratio, ratio
    return family(processor, config), processor, tile


@pytest.fixture(scope="module", params=["next", "onevision"])
def real(request):
    if request.param == "next":
        return real_sized(LlavaNext, llava_next, 336, 14, CANVASES)
    canvases = [[384 * rows, 384 * columns] for rows in range(1, 7) for columns in range(1, 7)]
    return real_sized(LlavaOnevision, llava_onevision, 384, 14, canvases, "anyres_max_9")


def test_the_number_of_tokens_is_the_processors(real):
    family, processor, tile = real
    sides = np.exp(np.random.default_rng(0).uniform(np.log(20), np.log(4000), (300, 2))).astype(int)
    dropped = processor.vision_feature_select_strategy == "default"
    for width, height in sides.tolist():
        _, tokens = family.image_grids(0, (width, height), 0, tile, 1)
        assert tokens == processor._get_number_of_features(height, width, tile, tile) - dropped, (width, height)


def test_the_mosaic_covers_the_picture_and_little_more(real):
    family, _, tile = real
    for size in [(640, 480), (1920, 1080), (700, 3000), (2000, 640), (333, 333)]:
        (overview, mosaic), _ = family.image_grids(0, size, 0, tile, 1)
        assert overview.overview
        assert not mosaic.overview
        for start, stop, cells in zip(mosaic.box[:2], mosaic.box[2:], (mosaic.columns, mosaic.rows), strict=True):
            cell = (stop - start) / cells
            assert -1.01 * cell < start < 1.01 * cell
            assert -1.01 * cell < 1 - stop < 1.01 * cell


def test_a_picture_whose_mosaic_has_no_column_has_an_overview_only():
    family, _, tile = real_sized(LlavaNext, llava_next, 336, 14, CANVASES)
    (overview,), tokens = family.image_grids(0, (10, 1000), 0, tile, 1)
    assert (overview.rows, overview.columns, overview.overview) == (24, 24, True)
    assert tokens == 24 * 24 + 72  # the newline tokens of 72 empty rows


def test_other_numbers_of_tokens_are_an_error():
    family = LlavaNext(llava_next.tiny_processor(), llava_next.tiny_config())
    with pytest.raises(ImageTokenTotal, match="give 113"):
        family.grids({"pixel_values": np.zeros((1, 5, 3, 20, 20))}, sample("a"), [(26, 22)], 112)


def test_several_elongated_pictures_are_refused_before_they_are_padded():
    family = LlavaOnevision(llava_onevision.tiny_processor(), llava_onevision.tiny_config())
    text = family.prompt(sample("a", images=2))
    with pytest.raises(ElongatedPicture):
        family.encode([text], [[Image.new("RGB", (1, 20_000)), Image.new("RGB", (4, 4))]])


def test_a_picture_scaled_to_less_than_a_pixel_is_refused():
    family = Mistral3(mistral3.tiny_processor(), mistral3.tiny_config())
    with pytest.raises(ElongatedPicture, match="40 x 0"):
        family.encode([family.prompt(sample("a"))], [[Image.new("RGB", (200, 1))]])


def test_llava_next_reads_a_line_of_pixels():
    family = LlavaNext(llava_next.tiny_processor(), llava_next.tiny_config())
    one, line = sample("a"), Image.new("RGB", (200, 1))
    inputs = family.encode([family.prompt(one)], [[line]])
    _, grids = family.token_groups(inputs, 0, one, [line])
    assert [(grid.rows, grid.columns) for grid in grids] == [(5, 5), (1, 10)]
