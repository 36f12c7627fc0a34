"""The strip of all layers: shares, both normalisations, and pixels read back from the PNG."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from plotly.colors import sequential

from bye_core.figures import layer_strip, png_uri, scale_css, scale_stops, strip_uris
from bye_core.grids import image_shares
from bye_core.records import Grid

ROWS = np.array([[0.1, 0.1, 0.2, 0.0, 0.3, 0.1], [0.0] * 6, [0.02, 0.02, 0.02, 0.02, 0.01, 0.01]], np.float16)
GRIDS = (Grid(0, 2, 2, 0), Grid(1, 1, 2, 4))


def read_png(uri):
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.array(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))


def test_shares_add_up_to_one_and_dark_layers_are_unknown():
    shares = image_shares(ROWS)
    np.testing.assert_allclose(shares[[0, 2]].sum(axis=1), 1)
    assert np.isnan(shares[1]).all()


def test_each_layer_by_its_own_largest_share():
    strip = layer_strip(ROWS, GRIDS)
    np.testing.assert_allclose(strip[0][0], [[1 / 3, 1 / 3], [2 / 3, 0]], rtol=2e-3)
    np.testing.assert_allclose(strip[0][1], [[1, 1 / 3]], rtol=2e-3)
    np.testing.assert_allclose(strip[2][0], 1)
    assert np.isnan(strip[1][0]).all()


def test_all_layers_by_the_samples_largest_share():
    strip = layer_strip(ROWS, GRIDS, "sample")
    np.testing.assert_allclose(strip[0][1], [[1, 1 / 3]], rtol=2e-3)
    np.testing.assert_allclose(strip[2][0], 0.2 / 0.375, rtol=2e-3)


def test_png_has_one_pixel_a_cell_in_the_scales_colours():
    pixels = read_png(png_uri(np.array([[0.0, 1.0, np.nan], [0.5, 2.0, -1.0]])))
    assert pixels.shape == (2, 3, 4)
    assert pixels[0, 0].tolist() == [0, 0, 4, 255]  # inferno's ends
    assert pixels[0, 1].tolist() == [252, 255, 164, 255]
    assert pixels[0, 2, 3] == 0
    assert pixels[1, 1].tolist() == pixels[0, 1].tolist()
    assert pixels[1, 2].tolist() == pixels[0, 0].tolist()


def test_one_image_a_layer_and_grid():
    uris = strip_uris(ROWS, GRIDS)
    assert [[read_png(uri).shape[:2] for uri in layer] for layer in uris] == [[(2, 2), (1, 2)]] * 3


def test_scale_is_plotlys_and_rises_in_lightness():
    stops = np.array(scale_stops())
    assert stops.shape == (256, 3)
    assert stops[0].tolist() == [0, 0, 4]
    assert sequential.Inferno[-1] == "#fcffa4"
    assert stops[-1].tolist() == [0xFC, 0xFF, 0xA4]
    lightness = stops @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) > -0.5).all()


def test_scale_as_css():
    css = scale_css(stops=3)
    assert css.startswith("linear-gradient(to right, rgb(0, 0, 4), ")
    assert css.endswith("rgb(252, 255, 164))")
