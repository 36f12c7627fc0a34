"""Writes a folder completely or not at all.

The folder is built under a temporary name beside its final path, flushed to the disk, and then renamed. A folder that
a killed process left is removed by the next call.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bye_core.files import hold, remove_leftovers, sync_folder

_RENAME_EXCHANGE = 2  # a flag of Linux
_AT_FDCWD = -100  # paths are relative to the working directory


@contextlib.contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """Yield a new folder to fill. If the block succeeds, the folder becomes `out` and replaces an existing folder."""
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out.parent, f".{out.name}.", ".new")
    new = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".new", dir=out.parent))
    descriptor = None if os.name == "nt" else os.open(new, os.O_RDONLY)
    try:
        if descriptor is not None:
            hold(descriptor)
        new.chmod(0o777 & ~_umask())  # mkdtemp creates folders for their owner only
        yield new
        sync_tree(new)
        replace_folder(new, out)
        sync_folder(out.parent)
    finally:
        if descriptor is not None:
            os.close(descriptor)
        shutil.rmtree(new, ignore_errors=True)  # unfinished after a failure, the former `out` after an exchange


def backup_path(out: Path) -> Path:
    return out.with_name(f".{out.name}.old")


def restore_backup(out: Path) -> None:
    """Restore the former folder if a replacement was killed between its two renames.

    This is needed only on systems that cannot exchange two folders in one step.
    """
    if backup_path(out).is_dir() and not out.exists():
        os.rename(backup_path(out), out)


def replace_folder(new: Path, out: Path) -> None:
    """Move `new` to `out`, replacing it. Raises: OSError if the move fails; `out` is then unchanged."""
    if not out.exists():
        os.rename(new, out)
    elif not any(out.iterdir()):
        out.rmdir()
        os.rename(new, out)
    elif not _exchange(new, out):
        os.rename(out, backup_path(out))
        try:
            os.rename(new, out)
        except BaseException:
            os.rename(backup_path(out), out)
            raise
        shutil.rmtree(backup_path(out))


def sync_tree(folder: Path) -> None:
    """Flush all folders and files to the disk, except hard links to images of the source data set."""
    for parent, _, names in os.walk(folder):
        for name in names:
            file = Path(parent, name)
            if file.stat().st_nlink == 1:
                _sync_file(file)
        sync_folder(Path(parent))


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step. Returns False if the system or the file system cannot do this."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # Python has no function for it
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _umask() -> int:
    mask = os.umask(0o077)  # the umask can only be read by setting it
    os.umask(mask)
    return mask
