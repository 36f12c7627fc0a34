"""Checkpoints that are complete or nothing: a file that is written last, with the others' hashes, marks the complete.

    checkpoints/training.json      what is being trained on what
    checkpoints/checkpoint-STEP/   adapter, optimizer, scheduler, random states; complete.json last

What has no mark, or differs from it, was cut off while it was written: it is ignored and removed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bye_core.files import file_sha256, sync_folder, write_atomic
from bye_core.train.errors import TrainingDiffers
from bye_core.train.settings import AdapterExists, finished

FOLDER = "checkpoints"
PREFIX = "checkpoint-"
MARK = "complete.json"
TRAINING = "training.json"
KEPT = 2
DIGEST_LENGTH = 64  # of a sha256 in hexadecimal: says nothing to a person


def root_of(out: Path) -> Path:
    return out / FOLDER


def refuse_finished(out: Path) -> None:
    """Raises AdapterExists where `out` holds a finished adapter, whose checkpoints are of no use any more."""
    if finished(out):
        discard(out)
        raise AdapterExists(out=out)


def discard(out: Path) -> None:
    """Remove all checkpoints of a finished training; one that was killed just after its card has left some."""
    shutil.rmtree(root_of(out), ignore_errors=True)


def mark(folder: Path, facts: Mapping[str, Any]) -> None:
    """Bring all files of a checkpoint to the disk, then say so."""
    hashes = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        hashes[path.name] = file_sha256(path)
    sync_folder(folder)
    write_atomic(folder / MARK, json.dumps({**facts, "files": hashes}, indent=1).encode("ascii"))
    sync_folder(folder.parent)


def facts_of(folder: Path) -> dict[str, Any] | None:
    """What `mark` was given, None where the checkpoint is not complete."""
    try:
        facts = json.loads((folder / MARK).read_bytes())
        hashes = facts.pop("files")
        return facts if all(file_sha256(folder / name) == value for name, value in hashes.items()) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def marked(folder: Path) -> bool:
    """Whether it was complete once; `facts_of` compares the hashes, too."""
    return (folder / MARK).is_file()


def all_of(root: Path) -> list[Path]:
    """Every checkpoint's folder, complete or not, the newest first."""
    found = [path for path in root.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdigit()]
    return sorted(found, key=step_of, reverse=True)


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix(PREFIX))


def newest(root: Path) -> Path | None:
    """The newest complete checkpoint. Hashes are compared, so that a damaged one does not count."""
    return next((path for path in all_of(root) if facts_of(path) is not None), None)


def prune(root: Path) -> None:
    """Remove all but the last KEPT complete checkpoints."""
    kept = [path for path in all_of(root) if marked(path)][:KEPT]
    for path in all_of(root):
        if path not in kept:
            remove(path)


def remove(folder: Path) -> None:
    """The mark goes first: a removal that is cut off leaves nothing that looks complete."""
    (folder / MARK).unlink(missing_ok=True)
    shutil.rmtree(folder)


def begin(out: Path, training: Mapping[str, Any]) -> Path | None:
    """Get the folder ready for `training`: the checkpoint to go on from, None to begin at the beginning.

    Raises TrainingDiffers where one can be gone on from that is of another training.
    """
    root = root_of(out)
    root.mkdir(parents=True, exist_ok=True)
    checkpoint = newest(root)
    if checkpoint is None:
        write_atomic(root / TRAINING, json.dumps(training, indent=1).encode("ascii"))
    elif differences := _differences(_read(root / TRAINING), training):
        raise TrainingDiffers(out=out, differences="; ".join(differences))
    for path in all_of(root):
        if facts_of(path) is None:
            remove(path)
    return checkpoint


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    words = []
    for name in (*now, *(name for name in before if name not in now)):
        then, given = before.get(name), now.get(name)
        if then != given:
            is_digest = len(str(given)) >= DIGEST_LENGTH
            words.append(f"another {name}" if is_digest else f"{name} was {then}, now {given}")
    return words
