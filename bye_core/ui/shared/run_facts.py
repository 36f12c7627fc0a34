"""Reads what pages say about a run without opening it: its title, model, data set, size and verdict."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.files import write_atomic
from bye_core.ui.open_run import verdict
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.obstacles import first_obstacle

TITLE = "title.txt"  # in the run folder; a run keeps its folder name, so links and commands stay valid
LONGEST_TITLE = 80
_facts = Cache(400)


@dataclass(frozen=True)
class RunFacts:
    """The texts that describe one run.

    data, digest  path or hub name of its data set, and the digest of the set
    data_name     the last two parts of that path
    created       UTC, ISO 8601
    reason        why its data set was not tested, "" if it was
    problem       why the run cannot be read, "" if it can
    """

    name: str
    model: str = ""
    data: str = ""
    digest: str = ""
    data_name: str = ""
    scored: int = 0
    total: int = 0
    flagged: int = 0
    created: str = ""
    verdict: tuple[str, str] = ("", "open")
    reason: str = ""
    problem: str = ""


def run_facts(path: Path) -> RunFacts:
    """Return the facts of the run in `path`. The run is read again only after its files have changed."""
    stamps = runs.stamps(path)
    return _facts.get((path, stamps.scan, stamps.detection), lambda: _read(path))


def _read(path: Path) -> RunFacts:
    try:
        run = runs.Run.open(path)
        settings, counts = run.settings, run.counts()
        model = short_name(settings.model) + (f" + {short_name(settings.adapter)}" if settings.adapter else "")
        detection = run.detection()
        obstacle = first_obstacle(detection)
        return RunFacts(
            path.name, model, settings.completed().data, settings.data_digest, short_name(settings.data),
            counts.scored, counts.total, int(detection.flagged.sum()) if detection else 0, settings.created,
            verdict(detection), obstacle.reason if obstacle else "",
        )  # fmt: skip
    except ByeError as error:
        return RunFacts(path.name, problem=error.problem)


def short_name(path: str) -> str:
    """Return the last two parts of a path."""
    parts = PurePath(path).parts
    return "/".join(parts[-2:]) if parts else path


def title_of(path: Path) -> str:
    """Return the title that the user gave the run in `path`; the folder's name if there is none."""
    with suppress(OSError, UnicodeDecodeError):
        if title := (path / TITLE).read_text(encoding="utf-8").strip()[:LONGEST_TITLE]:
            return title
    return path.name


def set_title(path: Path, title: str) -> None:
    """Store the title of the run in `path`; an empty title removes it."""
    words = " ".join(title.split())[:LONGEST_TITLE]
    if words and words != path.name:
        write_atomic(path / TITLE, f"{words}\n".encode("utf-8", "replace"))
    else:
        (path / TITLE).unlink(missing_ok=True)
