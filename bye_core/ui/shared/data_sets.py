"""The data sets of a workspace: which one is chosen and how it is read, those opened lately, uploads. No gradio."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from threading import Lock

from bye_core.data import DataSet, load_dataset
from bye_core.data.archive import extract, is_archive
from bye_core.data.formats import format_title
from bye_core.data.hub import check_repo_size, is_cached
from bye_core.data.load import annotation_files
from bye_core.errors import DataError
from bye_core.files import write_atomic
from bye_core.records import Progress
from bye_core.text import clip
from bye_core.ui import demo_run
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.limits import NotHere, TooLargeHere, limits
from bye_core.ui.workspace import Workspace, hosted, is_folder_name

DEMO = "demo"
DEMO_FILE = demo_run.DEMO / "data" / "poisoned.json"
LATEST = "latest.json"
KEPT_ENTRIES = 12
SPARE_BYTES = 2**30  # left free on a public host, for scans and decisions
STAMPED = 64  # files at the top of a folder whose change is noticed
LONGEST_NAME = 60
HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_loaded, _writing = Cache(3), Lock()


class NothingChosen(DataError):
    problem = "No data set is chosen."
    remedy = "Choose one in Data first."


class NoSuchSet(DataError):
    problem = "There is no data set {name} here any more."
    remedy = "Choose one of the list, or upload it again."


class TooManySets(DataError):
    problem = "You keep {count} uploaded data sets, as many as there is room for."
    remedy = "Remove one from the list of your data sets, then upload again."


class NotUploadable(DataError):
    problem = "{name} is neither an archive nor a parquet file."
    remedy = "Pack the data set's folder as .zip, .tar, .tar.gz or .tar.bz2 and upload that."


class DiskFull(DataError):
    problem = "The disk of this public demo is nearly full."
    remedy = "Try again later, or run the app on your own machine."


@dataclass(frozen=True)
class Choice:
    """A data set and how it is to be read. `key` is what the session holds: a path on one's own machine, the name of an
    upload, `owner/name` on the hub, or "demo".

    file, format, columns   which annotation file, format and column names, where the user chose them
    found, records, ready, opened   what was seen when it was opened last
    """

    key: str
    file: str = ""
    format: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    found: str = ""
    records: int = 0
    ready: int = 0
    opened: str = ""

    @property
    def name(self) -> str:
        """For people: short, without the way to it."""
        if self.key == DEMO:
            return "demo"
        parts = Path(self.key).parts
        return "/".join([*parts[-2:], *([self.file] if self.file else [])])


def data_line(name: str, facts: str = "") -> str:
    """Return the HTML line that says which data set a form is about."""
    more = f" <span class='bye-note'>{escape(facts)}</span>" if facts else ""
    return f"<p class='bye-data'>Data set: <b><bdi>{escape(clip(name, 80))}</bdi></b>{more}</p>"


def choice_line(choice: Choice) -> str:
    """Return the HTML line for a chosen set: its name, its format and how many records are ready."""
    facts = f"{format_title(choice.found)}, {choice.ready:,} of {choice.records:,} records ready"
    return data_line(choice.name, facts if choice.records else "choose another in Data")


def recent(place: Workspace) -> tuple[Choice, ...]:
    """The sets opened lately, newest first; those that are gone are left out."""
    try:
        entries = [Choice(**entry) for entry in json.loads((place.data / LATEST).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        entries = []
    return tuple(entry for entry in entries if _is_there(place, entry))


def find(place: Workspace, key: str) -> Choice:
    """The set named by a session, as it was read last. Raises NothingChosen."""
    if not key:
        raise NothingChosen()
    return next((entry for entry in recent(place) if entry.key == key), Choice(key))


def remember(place: Workspace, choice: Choice) -> None:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with _writing:
        others = [entry for entry in recent(place) if entry.key != choice.key]
        entries = [replace(choice, opened=now), *others][:KEPT_ENTRIES]
        place.data.mkdir(parents=True, exist_ok=True)
        write_atomic(place.data / LATEST, json.dumps([asdict(entry) for entry in entries], indent=1).encode())


def key_of(text: str) -> str:
    """The key of what a person typed: a path of one's own machine or a name of the hub. NothingChosen, NotHere."""
    text = text.strip().strip("\"'")
    if not text:
        raise NothingChosen()
    path = Path(text).expanduser()
    if hosted():
        if HUB.fullmatch(text) and not Path(text.split("/")[0]).exists():
            return text
        raise NotHere(what="Opening a path of the server", instead="Upload an archive, or name a set of the hub.")
    return str(path.resolve()) if path.exists() or not HUB.fullmatch(text) else text


def path_of(place: Workspace, choice: Choice) -> str:
    """What `load_dataset` and `--data` take for it. Raises NoSuchSet, NotHere."""
    if choice.key == DEMO and DEMO_FILE.is_file():
        return str(DEMO_FILE)
    if is_folder_name(choice.key):
        found = place.data / choice.key
        if not found.is_dir():
            raise NoSuchSet(name=choice.key)
    else:
        found = Path(key_of(choice.key))
        if not found.exists():
            return str(found)
    if choice.file:
        if not found.is_dir() or choice.file not in annotation_files(found):
            raise NoSuchSet(name=choice.file)
        found = found / choice.file
    return str(found)


def is_remote(path: str) -> bool:
    return HUB.fullmatch(path) is not None and not Path(path).exists()


def open_set(place: Workspace, choice: Choice) -> DataSet:
    """The data set, read once while its file does not change. Raises a DataError."""
    path = path_of(place, choice)

    def load() -> DataSet:
        if is_remote(path) and (hosted() or not is_cached(path)):
            check_repo_size(path, "dataset", limits().fetched, TooLargeHere, anonymous=hosted())
        return load_dataset(path, choice.format or None, choice.columns or None)

    return _loaded.get((path, choice.format, *sorted(choice.columns.items()), _stamp(Path(path))), load)


def upload(place: Workspace, file: Path, name: str) -> Iterator[Progress]:
    """Unpack an uploaded file into the workspace; the last item's facts name its `key`."""
    uploads = [item for item in place.data.iterdir() if item.is_dir()] if place.data.is_dir() else []
    if (most := limits().sets) is not None and len(uploads) >= most:
        raise TooManySets(count=len(uploads))
    place.data.mkdir(parents=True, exist_ok=True)
    if hosted() and shutil.disk_usage(place.data).free < limits().archive.bytes + SPARE_BYTES:
        raise DiskFull()
    if not is_archive(name) and not name.lower().endswith(".parquet"):
        raise NotUploadable(name=name)
    out = free_folder(place.data, re.sub(r"\.(?:tar\.)?\w+$", "", name))
    if is_archive(name):
        yield from extract(file, out, limits().archive, name)
    else:
        out.mkdir(parents=True)
        shutil.copyfile(file, out / "data.parquet")
    yield Progress("unpack", 1, 1, "done", {"key": out.name})


def remove(place: Workspace, key: str) -> None:
    """Delete an upload, and forget any other set; files of one's own are never touched."""
    if is_folder_name(key) and key != DEMO:
        shutil.rmtree(place.data / key, ignore_errors=True)
    with _writing:
        entries = [asdict(entry) for entry in recent(place) if entry.key != key]
        if (place.data / LATEST).exists():
            write_atomic(place.data / LATEST, json.dumps(entries, indent=1).encode())


def free_folder(root: Path, words: str, *others: Path) -> Path:
    """A folder named after `words` that is not there yet, nor in the `others`."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", words).strip("-_")[:LONGEST_NAME].rstrip("-_") or "set"
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 10**6))
    roots = (root, *others)
    return next(root / name for name in names if name != DEMO and not any((one / name).exists() for one in roots))


def _is_there(place: Workspace, choice: Choice) -> bool:
    try:
        path = path_of(place, choice)
    except (DataError, NotHere):
        return False
    return is_remote(path) or Path(path).exists()


def _stamp(path: Path) -> tuple:
    """Changes when the file, or one at the top of the folder, does."""
    try:
        files = sorted(file for file in path.iterdir() if file.is_file())[:STAMPED] if path.is_dir() else [path]
        return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    except OSError:
        return ()
