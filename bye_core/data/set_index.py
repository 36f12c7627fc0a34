"""Stores what the reading of a large data set found, so that the next command opens the set without parsing it again.

FOLDER/KEY/   samples.jsonl, text_only.jsonl (sample_file), spans.npy (where the records are), facts.json; and
              check-images.json or check-records.json while a check of the set is unfinished

KEY names the content of the set, its folder and how it was read, so an index never belongs to another content.
Missing images may appear later, so a set that lacks some is not stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bye_core import __version__
from bye_core.data.folders import atomic_folder
from bye_core.data.path_spellings import ImageOutsideDataset, MissingImage
from bye_core.data.samples import Records
from bye_core.files import write_atomic
from bye_core.records import Fault, Sample
from bye_core.sample_file import SampleFile, lines_of, open_listing

KEPT = 8  # indices of data sets; the oldest is deleted (ours)
FACTS, SPANS = "facts.json", "spans.npy"
IMAGES, TEXTS = "images", "records"  # the names of checks: with and without images
PARTS = ("samples", "text_only")
FILE_FAULTS = {MissingImage.__name__, ImageOutsideDataset.__name__}


@runtime_checkable
class IndexedSource(Protocol):
    """A source that can read single records without iterating over `rows` first."""

    def digest(self) -> str: ...

    def index_state(self) -> tuple[dict[str, Any], np.ndarray] | None:
        """Return what `restore_index` needs, after `rows` was read; None if the rows must be read."""

    def restore_index(self, state: dict[str, Any], spans: np.ndarray) -> None: ...


def indexed(
    folder: Path, check: str, source: Any, root: Path, options: Sequence[Any], read: Callable[[], Records]
) -> tuple[Records, Path | None]:
    """Return (the records of a data set, the folder of its index): those stored, or what `read` returns.

    The folder is None if the set is not stored.
    root, options  the folder of the images, and all that decides how records are read
    check          the name of a check that is to follow: then the set is read although it is stored, unless this check
                   of it is unfinished
    """
    if not isinstance(source, IndexedSource):
        return read(), None
    facts = json.dumps([__version__, source.digest(), os.path.realpath(root), options], sort_keys=True)
    own = folder / hashlib.sha256(facts.encode("utf-8", "backslashreplace")).hexdigest()[:32]
    records = None if check and not os.path.isfile(_check_file(own, check)) else _open(own, source)
    if records is None:
        records = read()
        _save(own, records, source)
    return records, own if os.path.isfile(own / FACTS) else None


def _save(own: Path, records: Records, source: IndexedSource) -> None:
    """Store the records of a large set. Does nothing if the set is small or the folder cannot be written."""
    if {kind for fault in records.faults for kind in fault.kinds} & FILE_FAULTS:
        shutil.rmtree(own, ignore_errors=True)  # of a time when all images were there
        return
    if not isinstance(records.samples, SampleFile) or (found := source.index_state()) is None:
        return
    state, spans = found
    with suppress(OSError):
        with atomic_folder(own) as new:
            digests = {name: _write(new / f"{name}.jsonl", getattr(records, name)) for name in PARTS}
            np.save(new / SPANS, spans)
            digests["spans"] = hashlib.sha256(spans.tobytes()).hexdigest()
            facts = {"digests": digests, "state": state, "size": records.size, "notes": records.notes}
            facts["faults"] = [asdict(fault) for fault in records.faults]
            (new / FACTS).write_text(json.dumps(facts), encoding="ascii")
            for unfinished in own.glob("check-*.json"):
                shutil.copyfile(unfinished, new / unfinished.name)
        _delete_oldest(own.parent)


def _write(path: Path, samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for line in lines_of(samples):
            file.write(line + b"\n")
            digest.update(line + b"\n")
    return digest.hexdigest()


def _delete_oldest(folder: Path) -> None:
    stored = [path for path in folder.iterdir() if os.path.isfile(path / FACTS)]
    for path in sorted(stored, key=lambda path: (path / FACTS).stat().st_mtime_ns)[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def _open(own: Path, source: IndexedSource) -> Records | None:
    """Return the stored records and prepare `source` to read single records; None if nothing intact is stored."""
    if not os.path.isfile(own / FACTS):
        return None
    try:
        facts = json.loads((own / FACTS).read_bytes())
        spans = np.load(own / SPANS, allow_pickle=False)
        digests = {"spans": hashlib.sha256(spans.tobytes()).hexdigest()}
        parts: dict[str, SampleFile] = {}
        for name in PARTS:
            parts[name], digests[name] = open_listing(own / f"{name}.jsonl")
        if digests != facts["digests"]:
            return None
        faults = tuple(map(_fault, facts["faults"]))
        records = Records(**parts, faults=faults, size=facts["size"], notes=tuple(facts["notes"]))
        source.restore_index(facts["state"], spans)
    except Exception:  # noqa: BLE001 - a damaged file may raise anything: EOFError, RecursionError, BadZipFile ...
        return None
    with suppress(OSError):  # the folder may belong to another user
        os.utime(own / FACTS)
    return records


def _check_file(own: Path, check: str) -> Path:
    return own / f"check-{check}.json"


def unfinished_check(own: Path | None, check: str) -> tuple[int, tuple[Fault, ...]]:
    """Return (how many samples an unfinished check has checked, their faults); (0, ()) if there is none.

    own  the folder of the set's index
    """
    if own is None:
        return 0, ()
    try:
        record = json.loads(_check_file(own, check).read_bytes())
        return int(record["done"]), tuple(map(_fault, record["faults"]))
    except Exception:  # noqa: BLE001 - as in `_open`
        return 0, ()


def save_check(own: Path | None, check: str, done: int, faults: Sequence[Fault]) -> None:
    """Store how far a check has come, where the set has an index."""
    if own is not None:
        record = {"done": done, "faults": [asdict(fault) for fault in faults]}
        with suppress(OSError):
            write_atomic(_check_file(own, check), json.dumps(record).encode("ascii"))


def forget_check(own: Path | None, check: str) -> None:
    if own is not None:
        with suppress(OSError):
            _check_file(own, check).unlink(missing_ok=True)


def _fault(record: dict[str, Any]) -> Fault:
    return Fault(**{**record, "kinds": tuple(record["kinds"])})
