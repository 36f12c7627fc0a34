"""Reads and writes checkpoints. A checkpoint is complete once complete.json, with the hashes of all files, is written.

    checkpoints/training.json      model, data set and settings of the training
    checkpoints/checkpoint-STEP/   adapter, optimizer, scheduler, random states; complete.json is written last

A checkpoint is damaged if complete.json is missing or a file does not match its hash: the training was interrupted
while it wrote the checkpoint. `prepare` removes damaged checkpoints.
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
KEPT = 2  # number of complete checkpoints to keep
DIGEST_LENGTH = 64  # length of a SHA-256 digest in hexadecimal; messages do not show digests


def folder_of(out: Path) -> Path:
    return out / FOLDER


def refuse_finished(out: Path) -> None:
    """Raise AdapterExists if `out` holds a finished adapter, after deleting the checkpoints that are left in `out`."""
    if finished(out):
        discard(out)
        raise AdapterExists(out=out)


def discard(out: Path) -> None:
    """Delete all checkpoints of a finished training."""
    shutil.rmtree(folder_of(out), ignore_errors=True)


def mark_complete(folder: Path, facts: Mapping[str, Any]) -> None:
    """Flush all files of a checkpoint to disk, then write `facts` and the hashes of the files to complete.json."""
    hashes = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        hashes[path.name] = file_sha256(path)
    sync_folder(folder)
    write_atomic(folder / MARK, json.dumps({**facts, "files": hashes}, indent=1).encode("ascii"))
    sync_folder(folder.parent)


def verified_facts(folder: Path) -> dict[str, Any] | None:
    """Return the facts in a checkpoint's complete.json, or None if the file is missing or a hash differs."""
    try:
        facts = json.loads((folder / MARK).read_bytes())
        hashes = facts.pop("files")
        return facts if all(file_sha256(folder / name) == value for name, value in hashes.items()) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def is_complete(folder: Path) -> bool:
    """Return whether a checkpoint was marked complete, without comparing hashes."""
    return (folder / MARK).is_file()


def list_newest_first(root: Path) -> list[Path]:
    """Return the folders of all checkpoints, complete or not, the newest first."""
    folders = [path for path in root.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdigit()]
    return sorted(folders, key=step_of, reverse=True)


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix(PREFIX))


def newest(root: Path) -> Path | None:
    """Return the newest complete checkpoint with matching hashes, or None."""
    return next((path for path in list_newest_first(root) if verified_facts(path) is not None), None)


def prune(root: Path) -> None:
    """Delete all checkpoints except the newest KEPT complete ones."""
    kept = [path for path in list_newest_first(root) if is_complete(path)][:KEPT]
    for path in list_newest_first(root):
        if path not in kept:
            remove(path)


def remove(folder: Path) -> None:
    """Delete a checkpoint, complete.json first, so that a checkpoint that is deleted in part is not complete."""
    (folder / MARK).unlink(missing_ok=True)
    shutil.rmtree(folder)


def prepare(out: Path, training: Mapping[str, Any]) -> Path | None:
    """Return the checkpoint in `out` to resume from, or None to start from the beginning. Deletes damaged checkpoints.

    `training` holds the model, data set and settings; training.json stores them. Raises: TrainingDiffers if the
    checkpoints belong to a training with other values.
    """
    root = folder_of(out)
    root.mkdir(parents=True, exist_ok=True)
    checkpoint = newest(root)
    if checkpoint is None:
        write_atomic(root / TRAINING, json.dumps(training, indent=1).encode("ascii"))
    elif differences := _differences(_read(root / TRAINING), training):
        raise TrainingDiffers(out=out, differences="; ".join(differences))
    for path in list_newest_first(root):
        if verified_facts(path) is None:
            remove(path)
    return checkpoint


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    differences = []
    for name in (*now, *(name for name in before if name not in now)):
        then, now_value = before.get(name), now.get(name)
        if then != now_value:
            is_digest = len(str(now_value)) >= DIGEST_LENGTH
            words = ["not set" if value is None else str(value) for value in (then, now_value)]
            differences.append(f"another {name}" if is_digest else f"{name} was {words[0]}, now {words[1]}")
    return differences
