"""Stores what the reading of a large data set found, so that the next command opens the set without parsing it again.

FOLDER/KEY/   samples.jsonl, text_only.jsonl (sample_file), spans.npy (where the records are), facts.json

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
from bye_core.records import Fault, Sample
from bye_core.sample_file import SampleFile, lines_of, open_listing

KEPT = 8  # indices of data sets; the oldest is deleted (ours)
FACTS, SPANS = "facts.json", "spans.npy"
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
    folder: Path, renew: bool, source: Any, root: Path, options: Sequence[Any], read: Callable[[], Records]
) -> Records:
    """Return the records of a data set: those stored in `folder`, or what `read` returns, which is then stored.

    root, options  the folder of the images, and all that decides how records are read
    renew          whether to read the set although it is stored
    """
    if not isinstance(source, IndexedSource):
        return read()
    facts = json.dumps([__version__, source.digest(), os.path.realpath(root), options], sort_keys=True)
    own = folder / hashlib.sha256(facts.encode("utf-8", "backslashreplace")).hexdigest()[:32]
    records = None if renew else _open(own, source)
    if records is None:
        records = read()
        _save(own, records, source)
    return records


def _save(own: Path, records: Records, source: IndexedSource) -> None:
    """Store the records of a large set. Does nothing if the set is small or the folder cannot be written."""
    kinds = {kind for fault in records.faults for kind in fault.kinds}
    if not isinstance(records.samples, SampleFile) or kinds & FILE_FAULTS or (found := source.index_state()) is None:
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
        _delete_oldest(own.parent)


def _write(path: Path, samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for line in lines_of(samples):
            file.write(line + b"\n")
            digest.update(line + b"\n")
    return digest.hexdigest()


def _delete_oldest(folder: Path) -> None:
    stored = [path for path in folder.iterdir() if (path / FACTS).is_file()]
    for path in sorted(stored, key=lambda path: (path / FACTS).stat().st_mtime_ns)[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def _open(own: Path, source: IndexedSource) -> Records | None:
    """Return the stored records and prepare `source` to read single records; None if nothing intact is stored."""
    if not (own / FACTS).is_file():
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
        faults = tuple(Fault(**{**fault, "kinds": tuple(fault["kinds"])}) for fault in facts["faults"])
        records = Records(**parts, faults=faults, size=facts["size"], notes=tuple(facts["notes"]))
        source.restore_index(facts["state"], spans)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    os.utime(own / FACTS)
    return records
