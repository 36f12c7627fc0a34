"""Families with one grid an image: which grid belongs to which picture, and pictures of unusual shapes."""

import pytest
from PIL import Image

from bye_core.models.errors import AspectRatio, ImageTokenTotal, NoImageTokens
from bye_core.models.families import FAMILIES
from bye_core.records import IMAGE, Grid, Sample, Turn
from tests.models.tiny import picture, sample, tiny_models


@pytest.fixture(scope="module", params=["qwen2_5_vl", "glm4v"])
def family(request):
    tiny = tiny_models()[request.param]
    return FAMILIES[request.param](tiny.processor(), tiny.config())


def test_each_row_of_a_batch_has_its_own_grids(family):
    samples = [sample("a"), sample("b", images=0), sample("c", images=2), sample("d")]
    images = [[picture(0)], [], [picture(1, 97, 45), picture(2, 41, 89)], [picture(3, 60, 60)]]
    inputs = family.encode([family.prompt(one) for one in samples], images)
    grids = [family.token_groups(inputs, row, samples[row], images[row])[1] for row in (0, 2, 3)]
    assert grids == [(Grid(0, 3, 3, 0),), (Grid(0, 4, 10, 0), Grid(1, 10, 4, 40)), (Grid(0, 6, 6, 0),)]
    with pytest.raises(NoImageTokens, match="b"):
        family.token_groups(inputs, 1, samples[1], [])


def test_pictures_named_out_of_order_keep_their_numbers(family):
    one = Sample("a", 0, (Turn("user", (1, "then", 0, "what ?")),), ("0.png", "1.png"))
    wide, tall = picture(0, 97, 45), picture(1, 41, 89)
    inputs = family.encode([family.prompt(one)], [[tall, wide]])
    _, grids = family.token_groups(inputs, 0, one, [wide, tall])
    assert grids == (Grid(1, 10, 4, 0), Grid(0, 4, 10, 40))


def test_a_wrong_image_token_count_is_that_samples_error(family):
    one, shown = sample("a"), [picture(0)]
    inputs = family.encode([family.prompt(one)], [shown])
    with pytest.raises(ImageTokenTotal, match="Sample b has 8 image tokens"):
        family.grids(inputs, sample("b"), [(26, 22)], 8)


def test_a_batch_without_pictures_has_no_image_token(family):
    inputs = family.encode([family.prompt(sample("a", images=0))], [[]])
    with pytest.raises(NoImageTokens):
        family.token_groups(inputs, 0, sample("a", images=0), [])


@pytest.mark.parametrize("size", [(201, 1), (1, 201)])
def test_a_picture_that_the_processor_refuses(family, size):
    with pytest.raises(AspectRatio, match="at most 200"):
        family.encode([family.prompt(sample("a"))], [[Image.new("RGB", size)]])


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 50), (50, 1), (4, 3), (200, 1), (5000, 3000)])
def test_pictures_of_any_size_are_read(family, size):
    one, shown = sample("a"), [Image.new("RGB", size, (255, 0, 0))]
    inputs = family.encode([family.prompt(one)], [shown])
    groups, (grid,) = family.token_groups(inputs, 0, one, shown)
    assert (groups == IMAGE).sum() == grid.rows * grid.columns
    assert grid.rows * grid.columns * 64 >= 512
    assert grid.rows * grid.columns * 64 <= 3000 or 1 in (grid.rows, grid.columns)
    pixels = inputs["pixel_values"].reshape(-1, 3, 2, 4, 4)  # [patches, colours, frames, 4, 4]
    assert pixels[:, 0].min() > 1 > 0 > pixels[:, 1].max()
