"""Loads a model's processor. Leaves out its video part, which needs torchvision; pictures do not."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from transformers import AutoProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING, processor_class_from_name
from transformers.utils import is_torchvision_available

from bye_core.model_protocol import PixelLimits
from bye_core.models.errors import (
    BadPixelLimits,
    BrokenModel,
    MissingPackage,
    NoChatTemplate,
    NoFastTokenizer,
    NoPixelLimits,
)
from bye_core.models.families import FAMILIES
from bye_core.models.families.geometry import edge

VIDEO = "video_processor"
# Files that may name the processor's class, in the order in which transformers reads them.
CLASS_FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json", "config.json")
# Packages that a processor demands although it calls them for videos only.
VIDEO_PACKAGES = ("num2words",)
# Processor classes whose module imports an image processor of torchvision for a function that its PIL version has too;
# with the name of their package in transformers.
PIL_VERSIONS = {"PixtralProcessor": "pixtral"}


def load_processor(folder: Path, config: Any = None) -> Any:
    """Load the processor of a model folder; `config` is the model's config, if it is loaded already.

    Raises: MissingPackage if the processor needs a package that is not installed; NoChatTemplate, NoFastTokenizer;
    BrokenModel if its files are missing or damaged.
    """
    try:
        own = processor_class(folder, config)
        loader = AutoProcessor if own is None else without_video(own)
        processor = loader.from_pretrained(folder, trust_remote_code=False)
    except (ImportError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        package = missing_package(error)
        if package is None:
            raise BrokenModel(path=folder, reason=error) from error
        raise MissingPackage(path=folder, package=package) from error
    if not hasattr(processor, "image_processor"):
        raise BrokenModel(path=folder, reason="it has no image processor (preprocessor_config.json is missing).")
    family = FAMILIES.get(getattr(config, "model_type", ""))
    if not (processor.chat_template or (family and family.template)):
        raise NoChatTemplate(path=folder)
    if not processor.tokenizer.is_fast:
        raise NoFastTokenizer(path=folder)
    if processor.tokenizer.pad_token is None:
        # Any token works: padding is masked out everywhere.
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def processor_class(folder: Path, config: Any = None) -> type | None:
    """Return the processor class of transformers that a model folder names; None if it names none."""
    for name in CLASS_FILES:
        path = folder / name
        if path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8")).get("processor_class")
            if stored:
                return importable_class(stored)
    return PROCESSOR_MAPPING.get(type(config), None)


def importable_class(name: str) -> type | None:
    """Return the processor class `name`, for classes of PIL_VERSIONS also if torchvision is not installed."""
    if name not in PIL_VERSIONS or is_torchvision_available():
        return processor_class_from_name(name)
    package = f"transformers.models.{PIL_VERSIONS[name]}"
    needed = f"{package}.image_processing_{PIL_VERSIONS[name]}"
    sys.modules[needed] = import_module(f"{package}.image_processing_pil_{PIL_VERSIONS[name]}")
    try:
        own: type = getattr(import_module(f"{package}.processing_{PIL_VERSIONS[name]}"), name)
    finally:
        del sys.modules[needed]
    return own


class AbsentVideoProcessor:
    """Stands in for the video part of a processor. All of its settings are None."""

    model_input_names: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@cache
def without_video(own: Any) -> Any:
    """Return a subclass of the processor class `own` that has no video part; `own` itself if that has none either.

    The subclass loads folders with or without a video part, and saves folders without one, under the name of `own`.
    """
    if VIDEO not in own.get_attributes():
        return own
    module = sys.modules[own.__module__]
    for package in VIDEO_PACKAGES:
        if getattr(module, package, module) is None:
            setattr(module, package, str)
    absent = AbsentVideoProcessor()
    names = own.get_attributes()
    others = [name for name in names if name != VIDEO]
    loader = type(own.__name__, (own,), {"get_attributes": classmethod(lambda cls: others)})

    def check_argument(self: Any, name: str, value: Any) -> Any:
        return None if name == VIDEO else own.check_argument_for_proper_class(self, name, value)

    def load_arguments(cls: Any, *args: Any, **kwargs: Any) -> list:
        parts = iter(loader._get_arguments_from_pretrained(*args, **kwargs))  # type: ignore[attr-defined]
        return [absent if name == VIDEO else next(parts) for name in names]

    changes = {
        "__module__": own.__module__,
        "get_attributes": classmethod(lambda cls: names),
        "check_argument_for_proper_class": check_argument,
        "_get_arguments_from_pretrained": classmethod(load_arguments),
        VIDEO: property(lambda self: absent, lambda self, value: None),
    }
    return type(own.__name__, (own,), changes)


# How transformers names a package that it misses.
PACKAGE_PATTERNS = (
    r"pip install ([\w.-]+)", r"requires the ([\w.-]+) library", r"Missing optional dependencies: ([\w.-]*\w)",
)  # fmt: skip


def missing_package(error: Exception) -> str | None:
    """Return the package that an error asks for; None if it names none."""
    for pattern in PACKAGE_PATTERNS:
        if named := re.search(pattern, str(error)):
            return named[1].lower()
    return error.name if isinstance(error, ModuleNotFoundError) else None


def limit_pixels(processor: Any, limits: PixelLimits, family: str) -> None:
    """Set how many pixels a resized image may have. `family`: name of the model family, for the error.

    Raises: NoPixelLimits if the processor has no such settings; BadPixelLimits if they contradict each other.
    """
    if not limits:
        return
    own = processor.image_processor
    if "min_pixels" not in getattr(getattr(own, "valid_kwargs", None), "__annotations__", ()):
        raise NoPixelLimits(family=family)
    least = limits.min_pixels or edge(own.size, "shortest_edge")
    most = limits.max_pixels or edge(own.size, "longest_edge")
    if not 0 < least <= most:
        raise BadPixelLimits(least=least, most=most)
    own.size = type(own.size)(**{**dict(own.size), "shortest_edge": least, "longest_edge": most})
