"""The bench itself: cell after cell, then every detector on all of them, then one JSON and one table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bye_core.bench.cell import is_done, work
from bye_core.bench.matrix import Matrix
from bye_core.bench.results import detected
from bye_core.errors import ByeError
from bye_core.records import Progress
from bye_core.runs.errors import RunBusy


def bench(model: Path, matrix: Matrix, out: Path) -> Iterator[Progress]:
    """Work off the matrix in `out`; what is finished there is not done again, and a killed bench goes on. Its results
    are written anew after every cell, so that one that is stopped has those of what is done.

    A cell that fails is told with its reason; one that another process is at is left to it, so that the same command
    can run twice at once. The last item's facts: the results over every finished cell in the folder, `failed` (cell ->
    reason) and `pending` (cells still to be done). Raises what is wrong with the matrix, and ForeignSeed.
    """
    cells, root = list(matrix.cells()), out / matrix.purpose
    failed: dict[str, str] = {}
    for number, cell in enumerate(cells, start=1):
        yield Progress("cells", number - 1, len(cells), facts={"failed": len(failed)})
        done = is_done(root, cell)
        try:
            yield from work(model, cell, root)
        except RunBusy:
            continue
        except ByeError as error:
            failed[cell.name] = f"{error.problem} {error.remedy}"
            continue
        if not done:
            yield from detected(root)
    for step in detected(root):
        yield step
    pending = [cell.name for cell in cells if cell.name not in failed and not is_done(root, cell)]
    facts = {**step.facts, "failed": failed, "pending": pending, "folder": str(root)}
    yield Progress("bench", len(cells), len(cells), "done", facts)
