"""Runs the benchmark: every cell, then every detector on all cells, then one JSON file and one table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bye_core.bench.cell import is_done, run_cell
from bye_core.bench.matrix import Matrix
from bye_core.bench.results import collect_results
from bye_core.errors import ByeError
from bye_core.records import Progress
from bye_core.runs.errors import RunBusy


def bench(model: Path, matrix: Matrix, out: Path) -> Iterator[Progress]:
    """Run all cells of the matrix in the folder `out`. Finished cells are not repeated, so a stopped benchmark resumes.

    The results are written after every cell. A failed cell does not end the benchmark. A cell that another process is
    running is skipped, so the same command can run several times at once. Facts of the last step: the results of all
    finished cells in the folder, `failed` (the reason by cell) and `pending` (the unfinished cells).
    Raises: the errors of `Matrix.cells`; ForeignSeed if the folder holds a cell with a seed for another purpose.
    """
    cells, root = list(matrix.cells()), out / matrix.purpose
    failed: dict[str, str] = {}
    for number, cell in enumerate(cells, start=1):
        yield Progress("cells", number - 1, len(cells), facts={"failed": len(failed)})
        done = is_done(root, cell)
        try:
            yield from run_cell(model, cell, root)
        except RunBusy:
            continue
        except ByeError as error:
            failed[cell.name] = f"{error.problem} {error.remedy}"
            continue
        if not done:
            yield from collect_results(root)
    for step in collect_results(root):
        yield step
    pending = [cell.name for cell in cells if cell.name not in failed and not is_done(root, cell)]
    facts = {**step.facts, "failed": failed, "pending": pending, "folder": str(root)}
    yield Progress("bench", len(cells), len(cells), "done", facts)
