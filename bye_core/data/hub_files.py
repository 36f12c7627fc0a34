"""Loads data sets from the Hugging Face Hub, with no file from anywhere else.

The card of a repository may name its data files. The library datasets takes paths of this machine and addresses there
too (5.2.0): a set could show a server's files, or make it call addresses in its own network. Versions before 5.0.1 also
follow such paths in metadata files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

from packaging.version import Version

from bye_core.errors import DataError

OLDEST = "5.0.1"
_repository: ContextVar[str] = ContextVar("repository", default="")
_lock = Lock()


class OldDatasets(DataError):
    problem = "The installed version {version} of the library datasets opens files of this machine that a set names."
    remedy = "Install datasets {oldest} or newer, then open the set again."


class ForeignFile(DataError):
    problem = "The card of {name} names the file {file!r}, which is not in that repository."
    remedy = "Use a data set whose files are all in its own repository."


def load_from_hub(name: str) -> Any:
    """Return the DatasetDict of the repository `name`.

    Raises: OldDatasets if the library is too old; ForeignFile if a file is not in the repository; what the library
    raises if the set cannot be loaded.
    """
    import datasets

    if Version(datasets.__version__) < Version(OLDEST):
        raise OldDatasets(version=datasets.__version__, oldest=OLDEST)
    with own_files_only(name):
        builder = datasets.load_dataset_builder(name)
        for files in (builder.config.data_files or {}).values():
            for file in files:
                _check(name, str(file), "")
        builder.download_and_prepare()
        return builder.as_dataset()


@contextmanager
def own_files_only(name: str) -> Iterator[None]:
    """Let datasets find files in the repository `name` only, while the `with` block runs in this thread.

    Raises: ForeignFile if it looks for another one.
    """
    _guard()
    token = _repository.set(name)
    try:
        yield
    finally:
        _repository.reset(token)


def _guard() -> None:
    """Put `_check` before the function with which datasets looks for files. The first call does it."""
    from datasets import data_files

    with _lock:
        find = data_files.resolve_pattern
        if not hasattr(find, "unguarded"):
            data_files.resolve_pattern = _guarded(find)


def _guarded(find: Callable[..., list[str]]) -> Callable[..., list[str]]:
    def resolve_pattern(pattern: str, base_path: str, *more: Any, **options: Any) -> list[str]:
        if name := _repository.get():
            _check(name, pattern, base_path)
        return find(pattern, base_path, *more, **options)

    resolve_pattern.unguarded = find  # type: ignore[attr-defined]
    return resolve_pattern


def _check(name: str, file: str, base: str) -> None:
    """Raise ForeignFile unless `file`, a path or pattern below the folder `base`, is in the repository `name`."""
    own = f"hf://datasets/{name}@"
    path = file if "://" in file or file.startswith(("/", "\\")) or not base else f"{base}/{file}"
    inside = path.removeprefix(own)
    if inside == path or ":" in inside or ".." in inside.replace("\\", "/").split("/"):
        raise ForeignFile(name=name, file=file)
