"""Shows libraries a checked view of a model or adapter folder: a temporary folder of copies and links.

Libraries read many files that a folder may hold: code, pickled weights, adapters, names of other models. The view holds
the files that this tool loads and nothing else. Settings are checked copies; weights and vocabularies are links to
regular files inside the folder. So what is not checked here cannot be read there, and every file that is read belongs
to the digest of the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from bye_core.errors import ByeError, printable
from bye_core.models import bounds, settings_checks
from bye_core.models.adapter_checks import check_adapter
from bye_core.models.checked_files import checked, listed, read_bytes, read_settings
from bye_core.models.errors import BrokenModel, MissingPackage
from bye_core.models.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, HASHED, TOKENIZER_FILE, TOKENIZER_SETTINGS
from bye_core.models.packages import missing_package
from bye_core.models.weights_files import INDEX, check_pickles, header, weights_names
from bye_core.process import is_out_of_memory

Check = Callable[[Path, str, dict[str, Any]], dict[str, Any]]

PROCESSOR_SETTINGS = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json")
SETTINGS: dict[str, Check] = {
    "config.json": lambda folder, name, settings: settings_checks.check_config(folder, settings),
    "generation_config.json": settings_checks.check_generation,
    "chat_template.json": settings_checks.check_processor,
    **dict.fromkeys(PROCESSOR_SETTINGS, settings_checks.check_processor),
    **dict.fromkeys(TOKENIZER_SETTINGS, settings_checks.check_tokenizer),
}
TEMPLATE = "chat_template.jinja"
VOCABULARIES = (TOKENIZER_FILE, "*.model", "vocab.json", "vocab.txt", "merges.txt", "tekken.json")
PREFIX = "bye-model-"


@contextlib.contextmanager
def model_view(folder: Path) -> Iterator[Path]:
    """Yield a folder with the checked files of a model folder, for libraries. Errors name the model folder.

    Raises: UnsafeFile, FileTooLarge, PickledFile, WeightsElsewhere, SettingOutOfBounds, LeadsElsewhere,
    QuantizedWeights, or BrokenModel, before any library opens a file.
    """
    names = listed(folder)
    for name in names:
        if any(fnmatch(name, pattern) for pattern in HASHED) and not (folder / name).is_dir():
            checked(folder, name)  # the digest reads these files
    weights = weights_names(folder)
    for name in weights:
        header(folder, name)
    with _view(folder) as view:
        for name, check in SETTINGS.items():
            _copy_settings(folder, view, name, check)
        _copy_template(folder, view)
        for name in names:
            if any(fnmatch(name, pattern) for pattern in VOCABULARIES):
                _link(folder, view, name, bounds.TOKENIZER_BYTES)
        for name in weights:
            _link(folder, view, name)
        if weights and INDEX in names:
            _link(folder, view, INDEX, bounds.INDEX_BYTES)
        yield view


@contextlib.contextmanager
def adapter_view(folder: Path) -> Iterator[Path]:
    """Yield a folder with the checked files of a LoRA adapter, for libraries. Raises as `model_view` does."""
    for name in listed(folder):
        if name.endswith(".safetensors") and not (folder / name).is_dir():
            checked(folder, name)
    check_pickles(folder, Path(ADAPTER_WEIGHTS).stem)
    with _view(folder) as view:
        _copy_settings(folder, view, ADAPTER_CONFIG, check_adapter)
        for name in TOKENIZER_SETTINGS:
            _copy_settings(folder, view, name, settings_checks.check_tokenizer)
        _copy_template(folder, view)
        _link(folder, view, TOKENIZER_FILE, bounds.TOKENIZER_BYTES)
        _link(folder, view, ADAPTER_WEIGHTS)
        yield view


@contextlib.contextmanager
def _view(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; replace its path by that of `folder` in every ByeError, and remove it at the end."""
    remove_left_over()
    view = Path(os.path.realpath(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")))
    try:
        yield view
    except ByeError as error:
        if str(view) not in str(error):
            raise
        facts = {
            name: printable(value).replace(str(view), str(folder)) if str(view) in printable(value) else value
            for name, value in error.facts.items()
        }
        raise type(error)(**facts) from error
    finally:
        shutil.rmtree(view, ignore_errors=True)


@contextlib.contextmanager
def unforeseen_errors(folder: Path) -> Iterator[None]:
    """Turn exceptions that no check foresaw into BrokenModel: hostile files fail at places that cannot be listed."""
    try:
        yield
    except ByeError:
        raise
    except ImportError as error:
        raise MissingPackage(path=folder, package=missing_package(error) or str(error)) from error
    except BaseException as error:
        # A panic of the tokenizers library is no Exception. Memory of a device may suffice later.
        panic = type(error).__name__ == "PanicException"
        if not (panic or isinstance(error, Exception)) or (is_out_of_memory(error) and isinstance(error, RuntimeError)):
            raise
        raise BrokenModel(path=folder, reason=error) from error


@cache
def remove_left_over() -> None:
    """Remove the views that killed processes of this user left in the temporary folder; once in each process."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            owner = re.match(rf"{PREFIX}(\d+)-", entry.name)
            if owner and not psutil.pid_exists(int(owner[1])) and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)


def _copy_settings(folder: Path, view: Path, name: str, check: Check) -> None:
    settings = read_settings(folder, name)
    if settings is not None:
        (view / name).write_text(json.dumps(check(folder, name, settings)), encoding="utf-8")


def _copy_template(folder: Path, view: Path) -> None:
    data = read_bytes(folder, TEMPLATE, bounds.TEMPLATE_BYTES)
    if data is not None:
        (view / TEMPLATE).write_bytes(data)


def _link(folder: Path, view: Path, name: str, most: int | None = None) -> None:
    """Link a file of `folder` in the view; copy it where links are not possible."""
    real = checked(folder, name, most)
    if real is None:
        return
    for link in (os.symlink, os.link, shutil.copyfile):
        try:
            link(real, view / name)
        except OSError:
            if link is shutil.copyfile:
                raise
        else:
            return
