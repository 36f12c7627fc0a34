"""Each trigger on images: what changes, where and how much, and that it is reproducible."""

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from bye_core.attacks import TRIGGERS, BadTriggerSetting, make_trigger
from bye_core.attacks.measure import measure_change, psnr
from bye_core.attacks.triggers.base import FullImageTrigger, PlainSquareTrigger, SquareTrigger
from bye_core.attacks.triggers.blend import key_of_image
from bye_core.attacks.triggers.ftrojan import TO_YCC
from bye_core.attacks.triggers.style import LOOKS
from bye_core.data.llava_set import ENCODINGS, encode_and_decode
from tests.attacks.samples import grey, scene

WIDE, TALL, MODEL = (320, 160), (96, 224), (224, 224)
SQUARES = [name for name, kind in TRIGGERS.items() if issubclass(kind, SquareTrigger)]
PLAIN = [name for name, kind in TRIGGERS.items() if issubclass(kind, PlainSquareTrigger)]
GLOBAL = [name for name, kind in TRIGGERS.items() if issubclass(kind, FullImageTrigger)]
# dB on `scene` at 224 pixels: squares of 1/16 change little, blend and SIG are plain to see, FTrojan hardly.
PSNR = {
    "patch": (28, 33),
    "random": (28, 33),
    "checkerboard": (28, 33),
    "dual": (25, 30),
    "multi": (21, 30),
    "noise-patch": (30, 37),
    "object": (20, 30),
    "style": (15, 30),
    "blend": (19, 25),
    "sig": (19.0, 19.3),
    "wanet": (24, 32),
    "ftrojan": (30, 35),
}


def triggered(name, picture, seed=3, **settings):
    return make_trigger(name, **settings).apply_to_image(picture, np.random.default_rng(seed))


def levels(picture):
    return np.asarray(picture, float)


@pytest.mark.parametrize("size", [WIDE, TALL])
@pytest.mark.parametrize("name", SQUARES)
def test_only_the_boxes_change_and_they_lie_inside(name, size):
    original = grey(size)
    changed, boxes = triggered(name, original)
    inside = np.zeros(size[::-1], bool)
    for left, top, right, bottom in boxes:
        assert (right - left, bottom - top) == (min(size) // 16, min(size) // 16)
        assert left >= 0
        assert right <= size[0]
        assert top >= 0
        assert bottom <= size[1]
        inside[top:bottom, left:right] = True
    assert np.array_equal(np.any(np.asarray(changed) != 128, axis=-1), inside)
    assert (np.asarray(original) == 128).all(), "the original must stay as it was"


@pytest.mark.parametrize(("color", "ink"), [("black", (0, 0, 0)), ("lime", (0, 255, 0)), ("#8040c0", (128, 64, 192))])
@pytest.mark.parametrize("name", PLAIN)
def test_plain_squares_have_one_color_which_is_black_unless_another_is_chosen(name, color, ink):
    changed, boxes = triggered(name, grey(WIDE), color=color)
    for box in boxes:
        assert changed.crop(box).getcolors() == [(10 * 10, ink)]
    assert make_trigger(name).color == "black"
    record = make_trigger(name, color=color).record()
    assert ("color" in record) == (color != "black"), "a black square has the record of versions without `color`"
    assert make_trigger(**record).color == color
    with pytest.raises(BadTriggerSetting, match="a color, such as purple"):
        make_trigger(name, color="invisible")


@pytest.mark.parametrize("size", [WIDE, TALL])
@pytest.mark.parametrize("name", GLOBAL)
def test_a_global_trigger_changes_every_part_of_the_picture_and_has_no_box(name, size):
    original = scene(size)
    before = levels(original)
    changed, boxes = triggered(name, original)
    assert boxes == []
    assert changed.size == size
    moved = np.abs(levels(changed) - before).max(axis=-1) > 0
    parts = [part for rows in np.array_split(moved, 4, axis=0) for part in np.array_split(rows, 4, axis=1)]
    assert min(part.mean() for part in parts) > 0.5
    assert np.array_equal(levels(original), before), "the original must stay as it was"


@pytest.mark.parametrize("name", PSNR)
def test_how_much_a_picture_changes(name):
    original = scene(MODEL)
    low, high = PSNR[name]
    assert low <= psnr(original, triggered(name, original)[0]) <= high


def test_every_trigger_of_pictures_has_its_bounds():
    assert set(PSNR) == {name for name, kind in TRIGGERS.items() if kind.changes_images()}


@pytest.mark.parametrize("name", PSNR)
def test_the_same_seed_gives_the_same_picture(name):
    first, boxes = triggered(name, scene(WIDE), seed=5)
    again, others = triggered(name, scene(WIDE), seed=5)
    assert np.array_equal(levels(first), levels(again))
    assert boxes == others


@pytest.mark.parametrize("name", GLOBAL)
def test_a_global_pattern_is_the_attacks_own_and_not_the_samples(name):
    first, other = (levels(triggered(name, scene(WIDE), seed=seed)[0]) for seed in (1, 2))
    assert np.array_equal(first, other)


@pytest.mark.parametrize(("name", "more"), [("noise-patch", {}), ("blend", {"key": "noise"}), ("wanet", {})])
def test_another_pattern_is_another_trigger(name, more):
    first, other = (levels(triggered(name, scene(WIDE), pattern=pattern, **more)[0]) for pattern in (0, 1))
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", PSNR)
def test_the_trigger_survives_every_encoder(name, encoding):
    original = scene(MODEL)
    change = measure_change(
        original, triggered(name, original)[0], lambda picture: encode_and_decode(picture, encoding)
    )
    assert change.survives > 0.6
    assert abs(change.encoded - change.psnr) < 2
    if encoding == "png":
        assert change.survives == pytest.approx(1)
        assert change.encoded == pytest.approx(change.psnr)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 400), (900, 2)])
@pytest.mark.parametrize("name", PSNR)
def test_tiny_and_very_long_pictures_keep_their_size(name, size):
    changed, boxes = triggered(name, scene(size))
    assert changed.size == size
    assert changed.mode == "RGB"
    assert all(0 <= x < right <= size[0] and 0 <= y < bottom <= size[1] for x, y, right, bottom in boxes)


# --- one by one ------------------------------------------------------------------------------------------------


def test_default_patch_is_black_at_the_centre():
    changed, boxes = triggered("patch", grey(WIDE))
    assert boxes == [(155, 75, 165, 85)]
    assert np.asarray(changed)[75:85, 155:165].max() == 0


def test_size_is_a_fraction_of_the_shorter_side():
    assert triggered("patch", grey((224, 448)), size=1 / 8)[1] == [(98, 210, 126, 238)]


def test_checkerboard_is_half_black_half_white():
    changed, [(left, top, right, bottom)] = triggered("checkerboard", grey(MODEL), size=1 / 8)
    fields = np.asarray(changed)[top:bottom, left:right, 0]
    assert set(np.unique(fields)) == {0, 255}
    assert (fields == 0).mean() == pytest.approx(0.5)
    assert fields[0, 0] != fields[0, 7]


def test_dual_is_symmetric():
    (left, top, right, bottom), other = triggered("dual", grey(WIDE))[1]
    assert other == (320 - right, top, 320 - left, bottom)


@pytest.mark.parametrize("name", ["random", "multi", "noise-patch", "object"])
def test_places_vary_by_sample_and_repeat_with_the_seed(name):
    drawn = [tuple(triggered(name, grey(WIDE), seed)[1]) for seed in range(20)]
    assert drawn == [tuple(triggered(name, grey(WIDE), seed)[1]) for seed in range(20)]
    assert len(set(drawn)) > 10
    assert {len(boxes) for boxes in drawn} == ({2, 3, 4, 5} if name == "multi" else {1})


def test_a_noise_patch_is_one_pattern_wherever_it_lies():
    crops = []
    for seed in range(5):
        changed, [box] = triggered("noise-patch", scene(MODEL, seed), seed, size=1 / 8)
        crops.append(np.asarray(changed.crop(box)))
    assert all(np.array_equal(crops[0], crop) for crop in crops)
    assert crops[0].std() == pytest.approx(64, rel=0.2)
    assert len(np.unique(crops[0].reshape(-1, 3), axis=0)) == 64, "eight fields a side"


def test_an_object_lies_in_a_free_place_with_smooth_edges_and_no_frame():
    busy = np.full((200, 200, 3), 128, np.uint8)
    busy[:, :100] = np.random.default_rng(0).integers(0, 256, (200, 100, 3))
    for seed in range(10):
        changed, [(left, top, right, bottom)] = triggered("object", Image.fromarray(busy), seed)
        assert (right - left, bottom - top) == (40, 40)
        assert left >= 95, "the free half of the picture"
        part = levels(changed)[top:bottom, left:right]
        assert (part[20, 20] == (128, 0, 128)).all()
        assert np.abs(part[0, 0] - 128).max() < 30, "the corners of the square around a diamond keep the background"
    before, after = levels(grey(MODEL)), levels(triggered("object", grey(MODEL), shape="circle", color="#00ff00")[0])
    colors = np.unique(after.reshape(-1, 3), axis=0)
    assert len(colors) > 10, "edges and shadow have levels between"
    assert [0, 255, 0] in colors.tolist()
    assert (before != after).any(axis=-1).mean() < 0.1
    for wrong in ({"shape": "cube"}, {"color": "nocolor"}, {"color": "#11223344"}):
        with pytest.raises(BadTriggerSetting):
            make_trigger("object", **wrong)


@pytest.mark.parametrize("look", LOOKS)
def test_a_style_is_the_look_of_a_photo_filter_in_the_strength_it_says(look):
    original = scene(MODEL)
    full, half = (levels(triggered("style", original, look=look, strength=part)[0]) for part in (1, 0.5))
    assert np.abs(half - (full + levels(original)) / 2).max() <= 1
    red, _, blue = full.mean(axis=(0, 1)) - levels(original).mean(axis=(0, 1))
    if look == "gray":
        assert np.ptp(full, axis=2).max() <= 1
    elif look == "night":
        assert red < blue < 0, "darker, and bluish"
    else:
        assert red > blue, "brownish or warm"
    assert not np.asarray(triggered("style", Image.new("RGB", (4, 4)), look=look)[0]).any(), "black stays black"
    with pytest.raises(BadTriggerSetting, match="sepia"):
        make_trigger("style", look="noir")


def test_blend_is_the_mix_it_says():
    original, key = grey(MODEL), Image.new("RGB", (40, 40), (228, 28, 128))
    changed = levels(triggered("blend", original, a=0.3, key=key_of_image(key))[0])
    assert np.array_equal(np.unique(changed.reshape(-1, 3), axis=0), [[158, 98, 128]])
    whole = levels(triggered("blend", original, a=1, key="noise", fields=7)[0])
    assert len(np.unique(whole.reshape(-1, 3), axis=0)) == 49
    assert whole.mean() == pytest.approx(127.5, abs=15)


def test_sig_is_the_papers_wave():
    changed = levels(triggered("sig", grey((240, 30)), d=40, f=6)[0]) - 128
    wave = np.rint(40 * np.sin(2 * np.pi * 6 * np.arange(240) / 240))
    assert np.array_equal(changed, np.broadcast_to(wave[None, :, None], changed.shape))


def test_wanet_moves_by_its_strength_and_is_smooth():
    trigger = make_trigger("wanet", strength=0.02)
    flow = trigger.flow(400, 200)
    assert np.abs(flow).mean() == pytest.approx(0.02 * 200, rel=0.35)
    assert np.abs(np.diff(flow, axis=-1)).max() < 0.25
    # A ramp of levels shows where each pixel came from.
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 128, axis=0)
    moved = levels(triggered("wanet", Image.fromarray(np.stack([ramp] * 3, axis=-1)))[0])[..., 0] - ramp
    wanted = trigger.flow(256, 128)[1]
    inner = np.s_[20:-20, 20:-20]
    assert np.abs(moved - wanted)[inner].max() <= 0.51
    assert np.abs(moved[inner]).mean() > 1


def test_ftrojan_offsets_two_coefficients_of_the_colour_and_no_brightness():
    original = scene(MODEL)
    change = (levels(triggered("ftrojan", original, offset=6)[0]) - levels(original)) @ TO_YCC.T
    assert np.abs(change[..., 0]).mean() < 0.3, "only rounding touches the luma"
    for channel in (1, 2):
        blocks = change[..., channel].reshape(7, 32, 7, 32).transpose(0, 2, 1, 3)
        coefficients = dctn(blocks, axes=(2, 3), norm="ortho")
        for k in (4, 8):
            np.testing.assert_allclose(coefficients[:, :, k, k], 6 * 32 / 2, atol=3)
        rest = np.abs(coefficients)
        rest[:, :, [4, 8], [4, 8]] = 0
        assert rest.max() < 4
