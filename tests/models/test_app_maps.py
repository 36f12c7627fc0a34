"""The app's script draws the attention on one token where the token lies on the image, for every family's grids."""

import json
import shutil
import subprocess
from importlib.util import find_spec

import numpy as np
import pytest

from bye_core.figures import overlay_payload
from bye_core.files import ASSETS
from bye_core.grids import cell_box, token_numbers
from bye_core.models.families import FAMILIES, family_class
from bye_core.models.families.generic import GenericFamily
from bye_core.records import IMAGE, AttentionRows
from tests.models.tiny import picture, sample, tiny_models

# A canvas that remembers what is drawn on it. For each case: the place of the brightest cell that the script paints,
# its row and column, the cell that the script finds in the middle of that place, and its share.
SCRIPT = """
import { readFileSync } from 'node:fs';
globalThis.devicePixelRatio = 1;
class Canvas {
  drawn = [];
  getContext() {
    const canvas = this;
    return {
      clearRect() {},
      createImageData: (width, height) => ({ width, height, data: new Uint8ClampedArray(4 * width * height) }),
      putImageData: (image) => { canvas.image = image; },
      drawImage: (small, ...place) => canvas.drawn.push([small.image, place]),
    };
  }
}
globalThis.document = { createElement: () => new Canvas() };
const { cellAt, paintHeat, peakOf, sharesOf, viewOf } = await import('./heatmap.js');
const read = ({ heat, view, width, height }) => {
  const cells = viewOf(heat, view).map((grid) => ({ grid, shares: sharesOf(heat, grid, [0]) }));
  const canvas = Object.assign(new Canvas(), { clientWidth: width, clientHeight: height });
  paintHeat(canvas, cells, 1);
  const all = canvas.drawn.flatMap(([image, [x, y, across, down]], n) => {
    const [w, h] = [across / image.width, down / image.height];
    return Array.from({ length: image.width * image.height }, (_, i) => {
      const [row, column] = [Math.floor(i / image.width), i % image.width];
      const box = [x + column * w, y + row * h, x + (column + 1) * w, y + (row + 1) * h];
      return { n, red: image.data[4 * i], row, column, box };
    });
  });
  const best = all.reduce((one, other) => (other.red > one.red ? other : one));
  const [left, top, right, bottom] = best.box;
  const { grid, shares } = cells[best.n];
  const found = cellAt(grid, (left + right) / 2, (top + bottom) / 2, width, height);
  return { ...best, found, peak: peakOf(grid, shares) };
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(read)));
"""
STOPS = "export const props = { stops: Array.from({ length: 256 }, (_, i) => [i, 0, 0]) };\n"


def grids_of(tiny):
    """The grids of one picture, and its number of image tokens. Only the processor is needed, not the model."""
    config = tiny.config()
    family, one, shown = family_class(config)(tiny.processor(), config), sample("a"), picture(0, *tiny.shapes["wide"])
    inputs = family.encode([family.prompt(one)], [[shown]])
    groups, grids = family.token_groups(inputs, 0, one, [shown])
    return grids, int((np.asarray(groups) == IMAGE).sum())


def rows_with_peak(grids, tokens, token):
    shares = np.full((1, tokens), 0.001, np.float16)
    shares[0, token] = 0.8
    each, heads = np.zeros(1), np.zeros((1, 1))
    return AttentionRows("a", heads, heads, np.zeros((1, 1, 3)), each, each, shares, grids, 1, "", 1.0)


def cases():
    """Yield (name, expected box in pixels, request) for one cell of every grid of every family."""
    for name, tiny in tiny_models().items():
        missing = tiny.package and find_spec(tiny.package) is None
        if missing or family_class(tiny.config()) is GenericFamily:
            continue
        size = tiny.shapes["wide"]
        grids, tokens = grids_of(tiny)
        for number, grid in enumerate(grids):
            row, column = grid.rows // 3, 2 * grid.columns // 3
            heat = overlay_payload(rows_with_peak(grids, tokens, int(token_numbers(grid)[row, column])))
            view = "overview" if grid.overview else "tiles"
            request = {"heat": heat, "view": view, "width": size[0], "height": size[1]}
            yield f"{name}, grid {number}", cell_box(grid, row, column, *size), request


def test_the_brightest_cell_lies_where_its_token_does(tmp_path):
    if not (node := shutil.which("node")):
        pytest.skip("node is not installed")
    shutil.copy(ASSETS / "scripts/review/heatmap.js", tmp_path)
    (tmp_path / "page.js").write_text(STOPS)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "read.js").write_text(SCRIPT)
    names, boxes, requests = zip(*cases(), strict=True)
    asked = json.dumps(requests)
    run = subprocess.run([node, "read.js"], cwd=tmp_path, input=asked, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert len(set(names)) >= len(FAMILIES), "a family without a grid was left out"
    for name, box, seen in zip(names, boxes, json.loads(run.stdout), strict=True):
        across, down = box[2] - box[0], box[3] - box[1]
        # Tiles that are joined may move by the pixels that the processor leaves out between them.
        assert np.allclose(np.array(seen["box"]), box, atol=max(across, down) / 2), name
        middle = (seen["box"][0] + seen["box"][2]) / 2, (seen["box"][1] + seen["box"][3]) / 2
        assert box[0] <= middle[0] <= box[2], name
        assert box[1] <= middle[1] <= box[3], name
        assert seen["found"] == [seen["row"], seen["column"]], name
        assert (seen["peak"]["row"], seen["peak"]["column"]) == (seen["row"], seen["column"]), name
        assert seen["peak"]["share"] > 0.5, name
