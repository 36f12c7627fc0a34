"""The least and the largest number of pixels of a resized image, whatever a processor bounds: areas, tiles or edges."""

import pytest

from bye_core.attention import read_attention
from bye_core.model_protocol import PixelLimits
from bye_core.models.errors import BadPixelLimits, NoLeastPixels, NoPixelLimits
from bye_core.models.families import family_class
from bye_core.models.loading import load_model
from bye_core.models.pixel_limits import limit_pixels
from tests.models.tiny import SHAPES, picture, sample, save_tiny, tiny_models

# By family: (limits, numbers of image tokens of the wide, the tall and the square picture). Tiny models have tokens of
# 8 x 8 pixels, tiles of 16 x 16 pixels with 4 tokens, and for LLaVA-NeXT of 20 x 20 with 25.
CASES = [
    # 80 x 32, 32 x 80 and 48 x 48 pixels without limits
    ("qwen2_5_vl", PixelLimits(), (40, 40, 36)),
    ("qwen2_5_vl", PixelLimits(256, 1024), (10, 10, 16)),
    ("qwen3_vl", PixelLimits(256, 1024), (10, 10, 16)),
    # Its processor counts each pixel twice.
    ("glm4v", PixelLimits(256, 1024), (10, 10, 16)),
    # The thumbnail follows several tiles.
    ("internvl", PixelLimits(), (12, 12, 20)),
    ("internvl", PixelLimits(max_pixels=3 * 256 + 99), (12, 12, 4)),
    ("internvl", PixelLimits(max_pixels=256), (4, 4, 4)),
    ("internvl", PixelLimits(min_pixels=3 * 256), (16, 16, 20)),
    ("smolvlm", PixelLimits(), (12, 12, 20)),
    ("smolvlm", PixelLimits(max_pixels=1023), (4, 4, 4)),
    ("idefics3", PixelLimits(max_pixels=256), (4, 4, 4)),
    # Canvases of 20 x 40 and 40 x 20 pixels. Of the square picture, 5 rows of 5 columns and one more remain.
    ("llava_next", PixelLimits(max_pixels=800), (25 + 5 * 11, 25 + 10 * 6, 25 + 5 * 7)),
    ("mistral3", PixelLimits(max_pixels=24 * 24), (6, 6, 9)),
    ("pixtral", PixelLimits(max_pixels=24 * 24), (18, 18, 36)),
]


def family_of(name):
    tiny = tiny_models()[name]
    return family_class(tiny.config())(tiny.processor(), tiny.config())


def counts(family):
    """The image tokens of one picture of each shape; `token_groups` fails if they are not those of the grids."""
    found = []
    for shape in ("wide", "tall", "square"):
        one, shown = sample("a"), [picture(0, *SHAPES[shape])]
        inputs = family.encode([family.prompt(one)], [shown])
        family.token_groups(inputs, 0, one, shown)
        found.append(int((inputs["input_ids"] == family.image_token_id).sum()))
    return tuple(found)


@pytest.mark.parametrize(("name", "limits", "tokens"), CASES)
def test_the_number_of_image_tokens(name, limits, tokens):
    family = family_of(name)
    limit_pixels(family, limits)
    assert counts(family) == tokens


@pytest.mark.parametrize(
    ("name", "limits", "error"),
    [
        ("qwen2_5_vl", PixelLimits(min_pixels=4096), BadPixelLimits),  # above its largest number
        ("qwen2_5_vl", PixelLimits(10**8, 10**9), BadPixelLimits),
        ("qwen2_5_vl", PixelLimits(max_pixels=10**12), BadPixelLimits),
        ("internvl", PixelLimits(max_pixels=255), BadPixelLimits),  # smaller than a tile
        ("internvl", PixelLimits(300, 500), BadPixelLimits),  # no number of tiles lies between
        ("llava_next", PixelLimits(max_pixels=799), BadPixelLimits),
        ("smolvlm", PixelLimits(max_pixels=255), BadPixelLimits),
        ("smolvlm", PixelLimits(min_pixels=256), NoLeastPixels),
        ("pixtral", PixelLimits(256, 512), NoLeastPixels),
        ("llava", PixelLimits(max_pixels=256), NoPixelLimits),
        ("gemma3", PixelLimits(max_pixels=256), NoPixelLimits),
        ("mllama", PixelLimits(max_pixels=256), NoPixelLimits),
    ],
)
def test_limits_that_a_processor_cannot_keep(name, limits, error):
    with pytest.raises(error):
        limit_pixels(family_of(name), limits)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "glm4v", "glm46v"])
def test_small_pictures_are_enlarged(name):
    family, one, shown = family_of(name), sample("a"), [picture(0, 30, 20)]
    limit_pixels(family, PixelLimits(1024, 2048))
    assert (
        1024 <= 64 * (family.encode([family.prompt(one)], [shown])["input_ids"] == family.image_token_id).sum() <= 2048
    )


def test_a_longest_edge_is_not_made_longer():
    family = family_of("pixtral")
    before = counts(family)
    limit_pixels(family, PixelLimits(max_pixels=10**6))
    assert counts(family) == before


def test_the_model_gets_the_canvases_of_its_processor(tmp_path):
    folder, limits = save_tiny(tmp_path, "llava_next"), PixelLimits(max_pixels=800)
    loaded = load_model(folder, device="cpu", pixels=limits)
    (rows,) = read_attention(loaded, [sample("a")], [[picture(0, *SHAPES["wide"])]])
    assert rows.image_tokens == 25 + 5 * 11
