"""A truth file that a person loaded on purpose: for colours and scores only, no detector sees it (design, law 9)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from bye_core.errors import DataError
from bye_core.files import write_atomic
from bye_core.pipeline import TRUTH, UnreadableTruth, read_truth
from bye_core.ui import demo_run
from bye_core.ui.open_run import RunView
from bye_core.ui.session import Session
from bye_core.ui.workspace import Workspace, workspace_of

FOLDER = "truth"
LARGEST = 64 * 2**20  # bytes: some millions of ids


class TruthOfAnother(DataError):
    problem = "None of the {count} ids in {name} belongs to the run that is open."
    remedy = "Load the truth.json that was written with this run's data set."


def loaded(session: Session) -> frozenset[str] | None:
    """The poisoned ids, None where no truth was loaded for the open run. Raises UnreadableTruth if it went away."""
    path = Path(session.truth)
    if not session.truth or path != _kept(workspace_of(session.visitor), session.run):
        return None
    try:
        stamp = path.stat().st_mtime_ns
    except OSError as error:
        raise UnreadableTruth(path=path.name, reason=error.strerror) from error
    return _read(path, stamp)


def load(session: Session, view: RunView, source: Path) -> str:
    """Take a copy of a truth file for the open run; what it returns belongs into `session.truth`."""
    poisoned = check(source)
    known = view.place.keys() | view.samples.keys()
    if poisoned and not poisoned & known:
        raise TruthOfAnother(count=f"{len(poisoned):,}", name=source.name)
    target = _kept(workspace_of(session.visitor), session.run)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, source.read_bytes())
    return str(target)


def check(source: Path) -> frozenset[str]:
    """Raises UnreadableTruth, which names the file as its owner knows it."""
    try:
        if source.stat().st_size > LARGEST:
            raise UnreadableTruth(path=source, reason=f"it is larger than {LARGEST // 2**20} MB")
        return read_truth(source)
    except UnreadableTruth as error:
        raise UnreadableTruth(path=source.name, reason=error.facts["reason"]) from error
    except RecursionError as error:
        raise UnreadableTruth(path=source.name, reason="it is nested too deeply") from error


def demo_truth(view: RunView) -> Path | None:
    """The shipped truth, where the run is a scan of the shipped demo's poisoned set."""
    truth = demo_run.DEMO / "data" / TRUTH
    return (
        truth if truth.is_file() and Path(view.run.settings.data) == demo_run.DEMO / "data" / "poisoned.json" else None
    )


def forget(session: Session) -> None:
    """Takes away the copy; the file it came from is left alone."""
    if session.truth and Path(session.truth) == _kept(workspace_of(session.visitor), session.run):
        Path(session.truth).unlink(missing_ok=True)


def _kept(place: Workspace, run: str) -> Path:
    return place.root / FOLDER / f"{run}.json"


@lru_cache(maxsize=8)
def _read(path: Path, stamp: int) -> frozenset[str]:
    return check(path)
