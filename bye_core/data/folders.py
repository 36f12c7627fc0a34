"""A folder that appears whole or not at all: built beside its place, flushed to the disk, then renamed."""

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

_EXCHANGE = 2  # RENAME_EXCHANGE of Linux
_HERE = -100  # AT_FDCWD: paths are as given


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Gives a new folder to fill; without an exception it becomes `out`, in the place of what was there."""
    out.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".new", dir=out.parent))
    try:
        new.chmod(0o777 & ~_umask())  # mkdtemp's folders are for their owner only
        yield new
        flush(new)
        put_in_place(new, out)
        _flush_one(out.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # half-built after a failure, the former `out` after an exchange


def old_name(out: Path) -> Path:
    return out.with_name(f".{out.name}.old")


def restore(out: Path) -> None:
    """Undoes a replacement that was killed between its two renames, where folders cannot be exchanged in one."""
    if old_name(out).is_dir() and not out.exists():
        os.rename(old_name(out), out)


def put_in_place(new: Path, out: Path) -> None:
    if not out.exists():
        os.rename(new, out)
    elif not any(out.iterdir()):
        out.rmdir()
        os.rename(new, out)
    elif not _exchange(new, out):
        os.rename(out, old_name(out))
        try:
            os.rename(new, out)
        except BaseException:
            os.rename(old_name(out), out)
            raise
        shutil.rmtree(old_name(out))


def flush(folder: Path) -> None:
    """Onto the disk: all files that are not mere links to the source's pictures, and all folders."""
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            if file.stat().st_nlink == 1:
                _flush_one(file)
        _flush_one(Path(place))


def _flush_one(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(one: Path, other: Path) -> bool:
    """Swaps two folders in one step. False where the system or the file system cannot."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _umask() -> int:
    mask = os.umask(0o077)  # the only way to ask is to set
    os.umask(mask)
    return mask
