"""Loads a model's processor. Leaves out its video part, which needs torchvision; pictures do not."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING, processor_class_from_name
from transformers.utils import is_torchvision_available

from bye_core.errors import ByeError, ModelError
from bye_core.models.chat import template_of_tokenizer
from bye_core.models.checked_files import read_settings
from bye_core.models.errors import (
    BrokenModel,
    ImageTokenCount,
    ImageTokenTotal,
    MissingPackage,
    NoChatTemplate,
    NoFastTokenizer,
    NoImageTokens,
    NoTokenizerFile,
    ProcessorCode,
    PromptMismatch,
    TileTokenCount,
    WrongProcessor,
)
from bye_core.models.families import FAMILIES
from bye_core.models.families.base import Family
from bye_core.models.files import TOKENIZER_FILE, TOKENIZER_SETTINGS
from bye_core.models.guarded_tokenizer import guard
from bye_core.models.image_size import check_image_size
from bye_core.models.packages import missing_package
from bye_core.models.probes import probe_tokenizer
from bye_core.records import Sample, Turn

VIDEO = "video_processor"
# Files that may name the processor's class, in the order in which transformers reads them.
CLASS_FILES = ("processor_config.json", "preprocessor_config.json", TOKENIZER_SETTINGS[0], "config.json")
IMAGE_PROCESSOR_FILES = CLASS_FILES[:2]
TOKENIZER_FILES = (TOKENIZER_FILE, "*.model", "*.tiktoken", "vocab.*", "tekken.json")
TOKENIZER_PACKAGES = ("sentencepiece", "tiktoken", "protobuf")  # they convert other files to tokenizer.json
# The sample on which `check_processor` tries a processor, and the errors of a processor of another family.
PROBE, PROBE_SIZE = Sample("probe", 0, (Turn("user", (0, "What is it?")),), ("probe.png",)), (64, 48)
WRONG_PROCESSOR = (
    AttributeError, KeyError, TypeError,
    ImageTokenCount, ImageTokenTotal, NoImageTokens, PromptMismatch, TileTokenCount,
)  # fmt: skip
# Packages that a processor demands although it calls them for videos only.
VIDEO_PACKAGES = ("num2words",)
# Processor classes whose module imports an image processor of torchvision for a function that its PIL version has too;
# with the name of their package in transformers.
PIL_VERSIONS = {"PixtralProcessor": "pixtral"}


def load_processor(folder: Path, config: Any = None) -> Any:
    """Load the processor of a model folder; `config` is the model's config, if it is loaded already.

    Raises: MissingPackage if the processor needs a package that is not installed; ProcessorCode if it needs code of its
    authors; NoTokenizerFile, NoFastTokenizer, NoChatTemplate; BrokenModel if its files are missing or damaged.
    """
    check_tokenizer_files(folder)
    probe_tokenizer(folder)
    try:
        own = processor_class(folder, config)
        loader = AutoProcessor if own is None else without_video(own)
        processor = loader.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except ByeError:
        raise
    except Exception as error:
        raise loading_error(folder, error) from error
    if not hasattr(processor, "image_processor"):
        raise BrokenModel(path=folder, reason=no_image_processor(folder))
    guard(processor.tokenizer)
    check_image_size(folder, processor, config)
    family = FAMILIES.get(getattr(config, "model_type", ""))
    processor.chat_template = processor.chat_template or template_of_tokenizer(processor.tokenizer)
    if not (processor.chat_template or (family and family.template)):
        others = "; that of its tokenizer writes no images" if processor.tokenizer.chat_template else ""
        raise NoChatTemplate(path=folder, others=others)
    if not processor.tokenizer.is_fast:
        raise NoFastTokenizer(path=folder)
    if processor.tokenizer.pad_token is None:
        # Any token works: padding is masked out everywhere.
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def check_tokenizer_files(folder: Path) -> None:
    """Check that a folder with an image processor holds a tokenizer: without one, transformers makes an empty one.

    Raises: NoTokenizerFile if it holds none.
    """
    if not tokenizer_files(folder) and any((folder / name).is_file() for name in IMAGE_PROCESSOR_FILES):
        raise NoTokenizerFile(path=folder, others="")


def tokenizer_files(folder: Path) -> list[str]:
    """Return the names of the folder's files that may hold a tokenizer."""
    return sorted({path.name for pattern in TOKENIZER_FILES for path in folder.glob(pattern)})


def loading_error(folder: Path, error: Exception) -> ModelError:
    """Return what to report if transformers cannot load the processor of a folder."""
    files = tokenizer_files(folder)
    if "trust_remote_code" in str(error):
        return ProcessorCode(path=folder)
    package = missing_package(error)
    if TOKENIZER_FILE not in files and package in (None, *TOKENIZER_PACKAGES) and "token" in str(error):
        return NoTokenizerFile(path=folder, others=f", only {', '.join(files)}, which cannot be converted here")
    if package is not None:
        return MissingPackage(path=folder, package=package)
    if not any((folder / name).is_file() for name in IMAGE_PROCESSOR_FILES):
        return BrokenModel(path=folder, reason=no_image_processor(folder))
    return BrokenModel(path=folder, reason=error)


def no_image_processor(folder: Path) -> str:
    """Return why a folder has no image processor."""
    present = [name for name in IMAGE_PROCESSOR_FILES if (folder / name).is_file()]
    if present:
        return f"transformers finds no image processor in {' and '.join(present)}."
    return f"it has no image processor: {' and '.join(IMAGE_PROCESSOR_FILES)} are missing."


def check_processor(family: Family, folder: Path) -> None:
    """Check on an image and a question that the processor belongs to the model.

    The generic family needs the model for its grids; there, the prompt alone is checked.
    Raises: WrongProcessor if the processor writes no image token of the model, or not as many as its family expects.
    """
    model_type, image = family.config.model_type, Image.new("RGB", PROBE_SIZE)
    try:
        inputs = family.encode([family.image_token], [[image]])
        if not (inputs["input_ids"] == family.image_token_id).any():
            reason = f"for an image it writes no token {family.image_token_id}, the image token in config.json."
            raise WrongProcessor(path=folder, model_type=model_type, reason=reason)
        if model_type in FAMILIES:
            inputs = family.encode_questions([PROBE], [[image]])
            family.token_groups(inputs, 0, PROBE, [image])
    except WRONG_PROCESSOR as error:
        reason = f"{type(family.processor).__name__} does not prepare images as {family.name} models need them."
        raise WrongProcessor(path=folder, model_type=model_type, reason=reason) from error


def processor_class(folder: Path, config: Any = None) -> type | None:
    """Return the processor class of transformers that a model folder names; None if it names none."""
    for name in CLASS_FILES:
        stored = (read_settings(folder, name) or {}).get("processor_class")
        if stored and not isinstance(stored, str):
            raise ValueError(f"{name} names the processor class {stored}, which is no text.")
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
        "__reduce__": lambda self: (_restored, (own, vars(self))),
    }
    return type(own.__name__, (own,), changes)


def _restored(own: Any, state: Mapping[str, Any]) -> Any:
    """Return a processor without its video part, in another process."""
    processor = object.__new__(without_video(own))
    vars(processor).update(state)
    return processor
