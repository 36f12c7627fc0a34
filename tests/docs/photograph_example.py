"""Makes the shipped example "Real photographs" from a finished cell of `bench-real`.

python -m tests.docs.photograph_example CELL

CELL is OUT/photographs-small/report-real/cells/NAME. Writes the run with its small pictures and its truth, without the
model, to assets/photographs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from bye_core import pipeline, runs
from bye_core.files import ASSETS
from bye_core.ui.demo_run import EXAMPLES

LICENSE = """The photographs are from the "clothing dataset (subset)" by A. Grigorev and contributors, dedicated to the
public domain (CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/). They are cropped to a square, 224 pixels
wide, and stored as WebP. Some of them carry the trigger of the benchmark: a black square, a quarter as wide as the
image.
"""
UNUSED = ("*.lock", "decisions*")


def make(cell: Path) -> None:
    (example,) = EXAMPLES
    shutil.rmtree(example.folder, ignore_errors=True)
    shutil.copytree(cell / "data", example.folder / "data")
    shutil.copytree(cell / "run", example.folder / "run", ignore=shutil.ignore_patterns(*UNUSED))
    (example.folder / "data" / "LICENSE").write_text(LICENSE, encoding="utf-8")
    (example.folder / "run" / "title.txt").write_text(example.title, encoding="utf-8")
    place = example.folder.relative_to(ASSETS.parent)
    runs.edit_settings(
        example.folder / "run", data=str(example.data.relative_to(ASSETS.parent)), model=str(place / "model"),
        adapter=str(place / "adapters" / "patch"),
    )  # fmt: skip
    # The last detection of a cell is that of the last detector that was measured.
    pipeline.detect_run(example.folder / "run")
    size = sum(path.stat().st_size for path in example.folder.rglob("*"))
    scores = pipeline.score_run(example.folder / "run", example.folder / "data" / pipeline.TRUTH)
    sys.stdout.write(
        json.dumps({"folder": str(place), "MiB": round(size / 2**20, 1), "f1": scores["f1"]}, indent=1) + "\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cell", type=Path)
    make(parser.parse_args().cell)
