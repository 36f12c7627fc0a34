"""Runs the benchmark: every cell, then every detector on all cells, then one JSON file and one table."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

from bye_core.bench.cell import WAIT_SECONDS, is_done, run_cell
from bye_core.bench.matrix import FREE, USUAL_FAMILY, Cell, Matrix
from bye_core.bench.results import collect_results
from bye_core.demo.recipe import FAMILY_SEED, FREE_SEED
from bye_core.demo.tour import DEMO
from bye_core.errors import ByeError
from bye_core.records import Progress
from bye_core.runs.errors import RunBusy
from bye_core.runs.lock import locked

FREE_MODEL = "free-model"  # the folder in `out` of the base model that understands free questions


def bench(model: Path, matrix: Matrix, out: Path) -> Iterator[Progress]:
    """Run all cells of the matrix in the folder `out`. Finished cells are not repeated, so a stopped benchmark resumes.

    The results are written after every cell. A failed cell does not end the benchmark. A cell that another process is
    running is skipped, so the same command can run several times at once.

    `model` is the base model of cells of the usual family. The demo's base model knows only four questions. For cells
    with the mix FREE it is first taught to answer free questions, once, in `out`/FREE_MODEL. Any other model is used
    unchanged. The base models of other families are trained from scratch, once, in `out`.

    Facts of the last step: the results of all finished cells in the folder, `failed` (the reason by cell) and `pending`
    (the unfinished cells).
    Raises: the errors of `Matrix.cells`; ForeignSeed if the folder holds a cell with a seed for another purpose.
    """
    cells, root = list(matrix.cells()), out / matrix.purpose
    failed: dict[str, str] = {}
    for number, cell in enumerate(cells, start=1):
        yield Progress("cells", number - 1, len(cells), facts={"failed": len(failed)})
        done = is_done(root, cell)
        try:
            base = yield from base_model(model, cell, out)
            yield from run_cell(base, cell, root)
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


def base_model(model: Path, cell: Cell, out: Path) -> Generator[Progress, None, Path]:
    """Return the base model of a cell, and make it unless it exists. A stopped training resumes after a finished part.

    Raises: RunBusy if another process is making it for longer than WAIT_SECONDS.
    """
    from bye_core.demo.base_model import make_base, make_free_base
    from bye_core.demo.make import Log, license_text

    if cell.family != USUAL_FAMILY:
        made = out / f"{cell.family}-model"
        make = partial(make_base, seed=FAMILY_SEED, license_text=license_text(), family=cell.family)
    elif cell.mix == FREE and model.resolve() == (DEMO / "model").resolve():
        made = out / FREE_MODEL
        make = partial(make_free_base, model, seed=FREE_SEED)
    else:
        return model
    out.mkdir(parents=True, exist_ok=True)
    with locked(out / f"{made.name}.lock", WAIT_SECONDS):
        if not made.exists():
            yield Progress(f"base model {made.name}", 0, 1)
            unfinished = out / f"{made.name}.part"
            make(out=unfinished, log=Log(out / f"{made.name}.log"))
            unfinished.rename(made)
    return made
