"""Stores the truth file that a person loaded for a run. Only colours and scores use it; detectors never read it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from bye_core.errors import DataError
from bye_core.files import write_atomic
from bye_core.pipeline import TRUTH, UnreadableTruth, read_truth
from bye_core.ui.open_run import OpenRun
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets
from bye_core.ui.workspace import Workspace, workspace_of

FOLDER = "truth"
LARGEST = 64 * 2**20  # largest size in bytes: some millions of ids


class TruthOfAnother(DataError):
    problem = "None of the {count} ids in {name} belongs to the open run."
    remedy = "Load the truth.json that was written with this run's data set."


def loaded(session: Session) -> frozenset[str] | None:
    """Return the poisoned ids of the truth file loaded for the open run, None if none is loaded.

    Raises: UnreadableTruth if the file is gone or is no truth file.
    """
    path = Path(session.truth)
    if not session.truth or path != _path(workspace_of(session.visitor), session.run):
        return None
    try:
        stamp = path.stat().st_mtime_ns
    except OSError as error:
        raise UnreadableTruth(path=path.name, reason=error.strerror) from error
    return _read(path, stamp)


def load(session: Session, opened: OpenRun, source: Path) -> str:
    """Copy a truth file into the workspace for the open run. Return the path of the copy.

    Raises: UnreadableTruth if it is no truth file; TruthOfAnother if none of its ids belongs to the run.
    """
    poisoned = check(source)
    if poisoned and not poisoned & opened.position_of.keys():
        raise TruthOfAnother(count=f"{len(poisoned):,}", name=source.name)
    target = _path(workspace_of(session.visitor), session.run)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, source.read_bytes())
    return str(target)


def check(source: Path) -> frozenset[str]:
    """Read a truth file. Raises: UnreadableTruth if it is not one; the message names the file without its folder."""
    try:
        if source.stat().st_size > LARGEST:
            raise UnreadableTruth(path=source, reason=f"it is larger than {LARGEST // 2**20} MB")
        return read_truth(source)
    except UnreadableTruth as error:
        raise UnreadableTruth(path=source.name, reason=error.facts["reason"]) from error
    except RecursionError as error:
        raise UnreadableTruth(path=source.name, reason="it is nested too deeply") from error


def shipped_truth(opened: OpenRun) -> Path | None:
    """Return the path of the shipped truth file if the run scanned a shipped data set, else None."""
    file = next((file for file in data_sets.SHIPPED.values() if Path(opened.settings.data) == file), None)
    return file.with_name(TRUTH) if file and file.with_name(TRUTH).is_file() else None


def remove(session: Session) -> None:
    """Delete the copy of the truth file. The file that the person loaded stays."""
    if session.truth and Path(session.truth) == _path(workspace_of(session.visitor), session.run):
        Path(session.truth).unlink(missing_ok=True)


def _path(place: Workspace, run: str) -> Path:
    return place.root / FOLDER / f"{run}.json"


@lru_cache(maxsize=8)
def _read(path: Path, stamp: int) -> frozenset[str]:
    return check(path)
