"""read_heads: the rows of each head, whose mean a scan stores."""

import numpy as np
import pytest

from bye_core.attention import read_attention, read_heads
from bye_core.errors import ByeError
from tests.models.tiny import picture, sample


@pytest.mark.parametrize("kind", ["llama", "grouped", "adapted"])
def test_the_mean_of_the_heads_is_what_a_scan_stores(models, kind):
    loaded, one, images = models[kind], sample("s", "what ?", images=2), [picture(1), picture(2)]
    rows, grids = read_heads(loaded, one, images)
    (scanned,) = read_attention(loaded, [one], [images])
    assert grids == scanned.grids
    assert rows.shape == (*scanned.entropy.shape, scanned.image_tokens)
    np.testing.assert_allclose(rows.astype(np.float32).mean(axis=1), scanned.rows, atol=1e-3)
    share = rows.astype(np.float64) / rows.sum(axis=2, keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(share.max(axis=2), scanned.peak, rtol=5e-3)


def test_a_sample_that_cannot_be_encoded_is_an_error_and_no_exception(models):
    assert isinstance(read_heads(models["llama"], sample("s", "what ?", images=2), [picture(1)]), ByeError)
