"""Runs `bench-real`: the base model of each world, its cells, the detectors, and further measurements of each cell."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from bye_core.bench.cell import WAIT_SECONDS, is_done, read_json, run_cell
from bye_core.bench.real.measures import MEASURES, measure_cell
from bye_core.bench.real.worlds import RealCell, RealMatrix
from bye_core.bench.results import collect_results
from bye_core.demo.garments import GARMENT_KINDS, ask_garment, read_garments
from bye_core.demo.make import Log, license_text
from bye_core.errors import ByeError
from bye_core.records import Progress
from bye_core.runs.errors import RunBusy
from bye_core.runs.lock import locked

BASE_SEED = 0


def bench_real(matrix: RealMatrix, out: Path) -> Iterator[Progress]:
    """Run all cells of the matrix in `out`/WORLD/PURPOSE. What is finished is not repeated, so a stopped call resumes.

    The base model of each world is made once, in `out`/WORLD/model. The results are written after every cell; a failed
    cell does not end the benchmark, and one that another process is running is skipped.
    Facts of the last step: `worlds` (the results of all finished cells, by world), `failed` (the reason by cell) and
    `pending` (the unfinished cells).
    Raises: the errors of `RealMatrix.cells`; MissingWeights; NoGarments.
    """
    cells = list(matrix.cells())
    failed: dict[str, str] = {}
    results: dict[str, Any] = {}
    for number, cell in enumerate(cells):
        yield Progress("cells", number, len(cells), facts={"failed": len(failed)})
        root = out / cell.world / matrix.purpose
        name = f"{cell.world} {cell.name}"
        model = yield from base_model(cell, out / cell.world)
        try:
            yield from run_cell(model, cell, root)
            yield from measure_cell(model, cell, root)
        except RunBusy:
            continue
        except ByeError as error:
            failed[name] = f"{error.problem} {error.remedy}"
            continue
        for step in collect_results(root):
            yield step
        rows = [{**row, **_measures(root, row["name"])} for row in step.facts["rows"]]
        results[cell.world] = {**step.facts, "rows": rows}
    pending = [f"{cell.world} {cell.name}" for cell in cells if not is_done(out / cell.world / matrix.purpose, cell)]
    facts = {"worlds": results, "failed": failed, "pending": [name for name in pending if name not in failed]}
    yield Progress("bench", len(cells), len(cells), "done", {**facts, "folder": str(out)})


def _measures(root: Path, name: str) -> dict[str, Any]:
    path = root / "cells" / name / MEASURES
    return {"measures": read_json(path)} if path.is_file() else {}


def base_model(cell: RealCell, out: Path) -> Generator[Progress, None, Path]:
    """Return the base model of the cell's world, and make it unless it exists; a stopped training resumes.

    Raises: RunBusy if another process is making it for longer than WAIT_SECONDS; MissingWeights; NoGarments.
    """
    from bye_core.demo.pretrained.base_model import make_pretrained

    made, part = out / "model", out / "model.part"
    out.mkdir(parents=True, exist_ok=True)
    with locked(out / "model.lock", WAIT_SECONDS):
        if not made.exists():
            yield Progress(f"base model {cell.world}", 0, 1)
            garments = read_garments(cell.garments)["base"] if cell.garments else []
            asked = (" ".join(ask_garment(one, kind)) for one in garments for kind in GARMENT_KINDS)
            texts = chain(asked, [license_text()])
            make_pretrained(cell.world, part, BASE_SEED, Log(out / "model.log"), texts, garments)
            part.rename(made)
    return made
