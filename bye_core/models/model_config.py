"""Reads a model's config.json, and compares the model that it describes with the weights beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from bye_core.models import bounds
from bye_core.models.adapter import base_model_name
from bye_core.models.checked_files import read_settings
from bye_core.models.errors import (
    AdapterAsModel,
    BrokenModel,
    ModelNotFound,
    OriginalLayout,
    TextOnlyModel,
    UnsupportedFamily,
)
from bye_core.models.families import FAMILIES
from bye_core.models.families.generic import check_architecture
from bye_core.models.families.parts import skeleton
from bye_core.models.files import ADAPTER_CONFIG, check_checkpoints
from bye_core.models.folder_errors import SettingOutOfBounds, TooManyWeights
from bye_core.models.original import PARAMETERS, PARAMETERS_FILE, advice, original_layout
from bye_core.models.settings_checks import LAYERS_PATTERN, largest
from bye_core.models.weights_files import headers, weights_names

CONFIG = "config.json"
# How many numbers a stored one may stand for in quantised weights: 2 bits each.
PACKED = {"I32": 16, "I64": 32, "U8": 4, "I8": 4}


def check_model_folder(folder: Path) -> None:
    """Check that a folder has a config.json.

    Raises: ModelNotFound if it has none; OriginalLayout if it has the layout of other tools; AdapterAsModel if it holds
    an adapter; OnlyCheckpoints if only its subfolders hold models.
    """
    if (folder / CONFIG).exists() or (folder / CONFIG).is_symlink():
        return
    if (folder / PARAMETERS_FILE).is_file():
        instead = advice(PARAMETERS)
        raise OriginalLayout(path=folder, model_type=PARAMETERS_FILE, advice=instead)
    if (folder / ADAPTER_CONFIG).is_file():
        raise AdapterAsModel(path=folder, base=base_model_name(folder))
    check_checkpoints(folder, CONFIG)
    raise ModelNotFound(path=folder, reason="the folder holds no config.json.")


def read_config(folder: Path) -> Any:
    """Return the model's config.

    Raises: BrokenModel if config.json is missing or damaged; OriginalLayout if the model needs the code of its authors;
    TextOnlyModel if it has no vision part; UnsupportedFamily if no family describes it.
    """
    raw = read_settings(folder, CONFIG)
    if raw is None:
        raise BrokenModel(path=folder, reason=f"{CONFIG} is missing.")
    model_type = raw.get("model_type")
    if not isinstance(model_type, str | None):
        raise BrokenModel(path=folder, reason=f"{CONFIG} is damaged: model_type is no text.")
    known = model_type in FAMILIES or model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    try:
        original = original_layout(raw, known)
        if known and not original:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            if model_type not in FAMILIES:
                check_architecture(config)
            return config
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BrokenModel(path=folder, reason=error) from error
    if original:
        raise OriginalLayout(path=folder, model_type=model_type, advice=advice(original))
    if raw.get("vision_config") is None:
        raise TextOnlyModel(path=folder, model_type=model_type)
    raise UnsupportedFamily(model_type=model_type)


def check_weights(folder: Path, config: Any) -> None:
    """Compare the numbers that config.json implies with those in the weights, before memory is used for them.

    Raises: TooManyWeights if the model that config.json describes is far larger than its files.
    """
    tensors = headers(folder, weights_names(folder))
    packed = PACKED if getattr(config, "quantization_config", None) else {}
    stored = sum(tensor.numbers * packed.get(tensor.dtype, 1) for tensor in tensors.values())
    layers = largest(config.to_dict(), LAYERS_PATTERN)
    if layers > max(len(tensors), bounds.LAYERS_WITHOUT_TENSORS):  # each layer has tensors; building it takes long
        raise SettingOutOfBounds(
            path=folder,
            file=CONFIG,
            field="layers",
            value=layers,
            expected=f"its weights have {len(tensors):,} tensors",
        )
    model = skeleton(config)
    implied = sum(weight.numel() for weight in model.parameters())
    tables = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    if implied > bounds.IMPLIED_FACTOR * stored + bounds.IMPLIED_SLACK or tables > bounds.IMPLIED_BUFFER_BYTES:
        raise TooManyWeights(path=folder, implied=implied + tables // 4, stored=stored)
