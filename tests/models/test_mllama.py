"""Llama 3.2 Vision: images that the end of the prompt does not see are no part of its rows."""

import numpy as np
import pytest

from bye_core.attention import read_attention
from bye_core.models.loading import load_model
from bye_core.records import Sample, Turn
from tests.models.families.mllama import PER_TILE, TINY
from tests.models.tiny import picture


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_model(TINY[0].save(tmp_path_factory.mktemp("mllama")), device="cpu")


def test_an_image_before_text_and_another_image_is_not_visible(loaded):
    turn = Turn("user", (0, "this ,", 1, "and what is it ?"))
    first, second = picture(0, 128, 44), picture(1, 20, 20)
    both = Sample("a", 0, (turn,), ("a.png", "b.png"))
    (rows,) = read_attention(loaded, [both], [[first, second]])
    assert [(grid.image, grid.start) for grid in rows.grids] == [
        (1, 1 + n * PER_TILE) for n in range(len(rows.grids))
    ]  # fmt: skip
    assert rows.rows.shape == (4, len(rows.grids) * PER_TILE)
    assert np.isfinite(rows.rows[[1, 3]]).all()
    assert rows.rows[[1, 3]].sum(axis=1) == pytest.approx(1, abs=1e-2)
    (other,) = read_attention(loaded, [both], [[picture(2, 30, 30), second]])
    assert rows.rows.shape == other.rows.shape
