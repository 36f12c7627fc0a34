"""The data sets of a workspace: the chosen data set and how it is read, recently opened data sets, uploads."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from threading import Lock
from uuid import uuid4

from bye_core import pipeline
from bye_core.data import DataSet
from bye_core.data.archive import extract, is_archive
from bye_core.data.formats import format_title
from bye_core.data.hub import check_repo_size, is_cached
from bye_core.data.listing import annotation_files
from bye_core.data.location import HUB_NAME
from bye_core.data.reading import ReadingOptions
from bye_core.data.webdataset import SUFFIX as TAR
from bye_core.data.webdataset import is_shard
from bye_core.errors import DataError
from bye_core.files import write_atomic
from bye_core.records import Progress
from bye_core.text import clip, folder_name
from bye_core.ui import demo_run
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.limits import NotHere, TooLargeHere, limits
from bye_core.ui.shared.space import check_space, make_room
from bye_core.ui.workspace import Workspace, hosted, is_folder_name

DEMO, DEMO_TITLE = "demo", "the demo's set"  # key and name of the demo's set
DEMO_FILE = demo_run.DEMO / "data" / "poisoned.json"
EXAMPLES = {example.name: example for example in demo_run.EXAMPLES}
SHIPPED = {DEMO: DEMO_FILE, **{name: example.data for name, example in EXAMPLES.items()}}  # annotation files by key
LATEST = "latest.json"
KEPT_ENTRIES = 12  # recently opened sets
SPARE_BYTES = 2**30  # share of the disk that stays free on a public host, for scans and decisions
STAMPED = 64  # number of files in a folder whose changes are detected
_loaded, _writing = Cache(3), Lock()


class NothingChosen(DataError):
    problem = "No data set is chosen."
    remedy = "Choose a data set in the Data tab first."


class NoSuchSet(DataError):
    problem = "The data set {name} no longer exists here."
    remedy = "Choose a data set from the list, or upload this one again."


class TooManySets(DataError):
    problem = "You have {count} uploaded data sets, which is the limit of this public demo."
    remedy = "Remove one from the list of your data sets, then upload again."


class UploadGone(DataError):
    problem = "The uploaded file {name} is gone. The same file may have been uploaded twice at the same time."
    remedy = "Upload it again."


class NotUploadable(DataError):
    problem = "{name} is neither an archive nor a parquet file."
    remedy = "Pack the data set's folder as .zip, .tar, .tar.gz or .tar.bz2 and upload that."


class DiskFull(DataError):
    problem = "The disk of this public demo is nearly full."
    remedy = "Try again later, or run the app on your own machine."


@dataclass(frozen=True)
class Choice:
    """A data set and how to read it.

    key                             what the session holds: a path (on the user's own machine), the name of an upload,
                                    `owner/name` on the hub, or a key of SHIPPED
    file                            annotation file, if the user chose one of several
    format, columns, split, question, strict_ids   how to read the set, as in ReadingOptions; empty if not chosen
    splits                          the names of its splits, for a set that is no folder
    found, records, ready, opened   of the last opening: format, number of records, number of usable records, time
    digest                          of the last opening: the digest of the set
    """

    key: str
    file: str = ""
    format: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    split: str = ""
    question: str = ""
    strict_ids: bool = False
    splits: tuple[str, ...] = ()
    found: str = ""
    records: int = 0
    ready: int = 0
    opened: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """A short name for display: the last two parts of the path, and the chosen annotation file or split."""
        if self.key == DEMO:
            return "demo"
        if self.key in EXAMPLES:
            return EXAMPLES[self.key].title
        parts = Path(self.key).parts
        return "/".join([*parts[-2:], *(part for part in (self.file, self.split) if part)])

    @property
    def reading(self) -> ReadingOptions:
        """How to read the set."""
        return ReadingOptions.from_record(asdict(self))

    @property
    def stem(self) -> str:
        """The name without folders and endings. Runs and other outputs made from the set are named after it."""
        return self.name.rpartition("/")[2].partition(".")[0]


def data_line(name: str, facts: str = "") -> str:
    """Return the HTML line that names the data set that a form uses."""
    more = f" <span class='bye-note'>{escape(facts)}</span>" if facts else ""
    return f"<p class='bye-data'>Data set: <b><bdi>{escape(clip(name, 80))}</bdi></b>{more}</p>"


def choice_line(choice: Choice) -> str:
    """Return the HTML line for a chosen set: its name, its format and the number of usable records."""
    facts = f"{format_title(choice.found)}, {choice.ready:,} of {choice.records:,} records ready"
    name = DEMO_TITLE if choice.key == DEMO else choice.name
    return data_line(name, facts if choice.records else "(choose another in Data)")


def recent(workspace: Workspace) -> tuple[Choice, ...]:
    """Return the recently opened sets, newest first. Skips sets that no longer exist."""
    try:
        entries = [Choice(**entry) for entry in json.loads((workspace.data / LATEST).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        entries = []
    return tuple(entry for entry in entries if _exists(workspace, entry))


def find(workspace: Workspace, key: str) -> Choice:
    """Return the data set `key` with the reading options used last. Raises: NothingChosen if `key` is empty."""
    if not key:
        raise NothingChosen()
    return next((entry for entry in recent(workspace) if entry.key == key), Choice(key))


def remember(workspace: Workspace, choice: Choice) -> None:
    """Store `choice` as the most recently opened set, with the current time.

    Raises: VisitorFull, HostFull or ManyVisitors if a public host has no space for the visitor's files.
    """
    check_space(workspace)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with _writing:
        others = [entry for entry in recent(workspace) if entry.key != choice.key]
        workspace.data.mkdir(parents=True, exist_ok=True)
        _write_recent(workspace, [replace(choice, opened=now), *others][:KEPT_ENTRIES])


def _write_recent(workspace: Workspace, entries: Iterable[Choice]) -> None:
    write_atomic(workspace.data / LATEST, json.dumps([asdict(entry) for entry in entries], indent=1).encode())


def key_of(text: str) -> str:
    """Return the key for a typed path or hub name: the absolute path, or the hub name unchanged.

    Raises: NothingChosen if `text` is empty; NotHere if it is a path on a public host.
    """
    text = text.strip().strip("\"'")
    if not text:
        raise NothingChosen()
    path = Path(text).expanduser()
    if hosted():
        if HUB_NAME.fullmatch(text) and not Path(text.split("/")[0]).exists():
            return text
        raise NotHere(what="Opening a path of the server", instead="Upload an archive, or name a set on the hub.")
    return str(path.resolve()) if path.exists() or not HUB_NAME.fullmatch(text) else text


def path_of(workspace: Workspace, choice: Choice) -> str:
    """Return the path or hub name of a choice, for `load_dataset` and `--data`.

    Raises: NoSuchSet if the upload or its annotation file is gone; NotHere if the key is a path on a public host.
    """
    if choice.key in SHIPPED and SHIPPED[choice.key].is_file():
        return str(SHIPPED[choice.key])
    if is_folder_name(choice.key):
        path = workspace.data / choice.key
        if not path.is_dir():
            raise NoSuchSet(name=choice.key)
    else:
        path = Path(key_of(choice.key))
        if not path.exists():
            return str(path)
    if choice.file:
        if not path.is_dir() or choice.file not in annotation_files(path):
            raise NoSuchSet(name=choice.file)
        path = path / choice.file
    return str(path)


def path_of_text(workspace: Workspace, text: str) -> str:
    """Return the value of `--data` for a typed path or hub name.

    Raises: NothingChosen if `text` is empty; NoSuchSet if the set is gone; NotHere if it is a path on a public host.
    """
    return path_of(workspace, find(workspace, key_of(text)))


def source_arguments(workspace: Workspace, choice: Choice) -> list[str]:
    """Return the arguments `--data`, `--format`, `--columns` and so on for a choice.

    Raises: NoSuchSet if the set is gone; NotHere if the key is a path on a public host.
    """
    return ["--data", path_of(workspace, choice), *choice.reading.arguments()]


def is_remote(path: str) -> bool:
    """Return whether `path` is a name on the hub."""
    return HUB_NAME.fullmatch(path) is not None and not Path(path).exists()


def open_set(workspace: Workspace, choice: Choice) -> DataSet:
    """Load the data set, from memory if its files are unchanged. Raises: DataError if it is gone or cannot be read."""
    path = path_of(workspace, choice)

    def load() -> DataSet:
        if is_remote(path) and (hosted() or not is_cached(path)):
            make_room(path, check_repo_size(path, "dataset", limits().fetched, TooLargeHere, anonymous=hosted()))
        return pipeline.load(path, choice.reading)

    return _loaded.get((path, *choice.reading.arguments(), _stamp(Path(path))), load)


@contextmanager
def taken(file: Path) -> Iterator[Path]:
    """Give an uploaded file a path of its own, and delete it afterwards.

    Gradio stores equal files of all visitors under one path: a second upload may come while the first one is read.
    Raises: UploadGone if there is no such file.
    """
    own = file.with_name(uuid4().hex)
    try:
        os.replace(file, own)
    except FileNotFoundError:
        raise UploadGone(name=file.name) from None
    try:
        yield own
    finally:
        own.unlink(missing_ok=True)


def upload(workspace: Workspace, file: Path, name: str) -> Iterator[Progress]:
    """Unpack an uploaded file into the workspace. The facts of the last Progress hold the `key` of the new set.

    Raises: TooManySets if the visitor has the most uploads allowed; VisitorFull, HostFull or ManyVisitors if a public
    host has no space for it; DiskFull if the disk is nearly full; NotUploadable
    if the file is neither an archive nor parquet; another DataError if the archive cannot be unpacked.
    """
    root = workspace.data
    uploads = [item for item in root.iterdir() if item.is_dir()] if root.is_dir() else []
    if (most := limits().sets) is not None and len(uploads) >= most:
        raise TooManySets(count=len(uploads))
    check_space(workspace)
    root.mkdir(parents=True, exist_ok=True)
    if hosted() and shutil.disk_usage(root).free < limits().archive.bytes + SPARE_BYTES:
        raise DiskFull()
    if not is_archive(name) and not name.lower().endswith(".parquet"):
        raise NotUploadable(name=name)
    out = free_folder(root, re.sub(r"\.(?:tar\.)?\w+$", "", name))
    if name.lower().endswith(TAR) and is_shard(file):
        out.mkdir(parents=True)
        shutil.copyfile(file, out / f"shard{TAR}")
    elif is_archive(name):
        yield from extract(file, out, limits().archive, name)
    else:
        out.mkdir(parents=True)
        shutil.copyfile(file, out / "data.parquet")
    yield Progress("unpack", 1, 1, "done", {"key": out.name})


def remove(workspace: Workspace, key: str) -> None:
    """Delete an upload and remove the set from the recent sets. Files outside the workspace are never deleted."""
    if is_folder_name(key) and key not in SHIPPED:
        shutil.rmtree(workspace.data / key, ignore_errors=True)
    with _writing:
        if (workspace.data / LATEST).exists():
            _write_recent(workspace, [entry for entry in recent(workspace) if entry.key != key])


def free_folder(root: Path, words: str, *others: Path) -> Path:
    """Return the path for a new folder in `root`, named after `words`. The name is new in `root` and `others`."""
    stem = folder_name(words, "set")
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 10**6))
    roots = (root, *others)
    return next(
        root / name for name in names if name not in SHIPPED and not any((one / name).exists() for one in roots)
    )


def _exists(workspace: Workspace, choice: Choice) -> bool:
    try:
        path = path_of(workspace, choice)
    except (DataError, NotHere):
        return False
    return is_remote(path) or Path(path).exists()


def _stamp(path: Path) -> tuple:
    """Return names, times and sizes: of the file, or of the first STAMPED files directly in the folder."""
    try:
        files = sorted(file for file in path.iterdir() if file.is_file())[:STAMPED] if path.is_dir() else [path]
        return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    except OSError:
        return ()
