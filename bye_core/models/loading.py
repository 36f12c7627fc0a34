"""Loads a model from a folder or the hub, with or without a LoRA adapter, after checking its files."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from bye_core.errors import ByeError
from bye_core.model_protocol import (
    ALL_GPUS,
    UNLIMITED,
    Batch,
    Encode,
    Forward,
    ImagesOfSamples,
    PixelLimits,
    Result,
    Samples,
)
from bye_core.models import calls
from bye_core.models.adapter import add_adapter, adopt_tokenizer, read_adapter_config
from bye_core.models.checked_files import read_settings
from bye_core.models.errors import (
    BrokenModel,
    IncompleteWeights,
    NoBitsandbytes,
    NoDevice,
    NoGpus,
    TooLargeForGpus,
    UnknownBefore,
    UnknownDtype,
)
from bye_core.models.families import family_class
from bye_core.models.families.base import Family
from bye_core.models.files import ADAPTER_HASHED, check_safetensors, combined, digests, local_folder
from bye_core.models.folder_view import adapter_view, model_view, unforeseen_errors
from bye_core.models.model_config import CONFIG, check_model_folder, check_weights, read_config
from bye_core.models.pixel_limits import limit_pixels
from bye_core.models.processors import check_processor, load_processor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
NAMES_SHOWN = 5


@dataclass(frozen=True)
class LoadedModel:
    """A model in eval mode without gradients; implements model_protocol.VisionLanguageModel.

    model     the transformers model, wrapped by peft if there is an adapter
    identity  name, model, adapter, files {role: {file: sha256}}, model_digest, adapter_digest, dtype, versions:
              enough to reproduce a result; `pair.load_model_pair` adds before and before_digest
    earlier   the model before full fine-tuning, if it was loaded, too
    """

    model: torch.nn.Module
    processor: Any
    family: Family
    device: torch.device
    dtype: torch.dtype
    identity: Mapping[str, Any]
    earlier: LoadedModel | None = None

    @property
    def base(self) -> torch.nn.Module:
        """The transformers model without the wrapper of peft; the LoRA layers of an adapter stay in it."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model

    @property
    def knows_before(self) -> bool:
        """Whether the model before fine-tuning is known: by switching off an adapter, or as `earlier`."""
        return self.earlier is not None or isinstance(self.model, PeftModel)

    @contextmanager
    def before_fine_tuning(self) -> Iterator[LoadedModel]:
        """Give the model before fine-tuning: `earlier`, or this model with its adapter switched off.

        Raises: UnknownBefore if it is not known.
        """
        if self.earlier is not None:
            yield self.earlier
        elif isinstance(self.model, PeftModel):
            with self.model.disable_adapter():
                yield self
        else:
            raise UnknownBefore()

    def run_batch(
        self, samples: Samples, images: ImagesOfSamples, encode: Encode[Batch], forward: Forward[Batch, Result]
    ) -> list[Result | ByeError]:
        """Encode and run samples in one batch, which is split if it fails; see `calls.run_batch`."""
        return calls.run_batch(samples, images, encode, forward)


def load_model(
    model: str | Path,
    adapter: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    four_bit: bool = False,
    pixels: PixelLimits = UNLIMITED,
) -> LoadedModel:
    """Load a vision-language model from a folder or hub id, and a LoRA adapter on top of it if one is given.

    device    auto (cuda, then mps, then cpu), a torch device, or ALL_GPUS to spread the layers over all GPUs
    dtype     auto (float32 on the CPU, bfloat16 on a GPU that supports it, else float16) or one of DTYPES
    four_bit  load the weights of the language model in nf4, for QLoRA
    pixels    how many pixels a resized image may have, if the processor has such settings
    Never runs remote code and never reads pickled weights.
    Raises: a ModelError if the model or the adapter cannot be loaded; a SettingError if an option cannot be used here.
    """
    target = pick_device(device)
    number_type = pick_dtype(dtype, target)
    folder = local_folder(model)
    check_model_folder(folder)
    adapter_folder = None
    with ExitStack() as views, unforeseen_errors(folder):
        view = views.enter_context(model_view(folder))
        config = read_config(view)
        check_safetensors(folder)
        if adapter is not None:
            adapter_folder = local_folder(adapter)
            base_class = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(config.model_type, "")
            adapter_config = read_adapter_config(adapter_folder, base_class)
            adapter_files = views.enter_context(adapter_view(adapter_folder))
        check_weights(folder, config)
        processor = load_processor(view, config)
        hashed = adopt_tokenizer(processor, adapter_files, config) if adapter_folder else ADAPTER_HASHED
        family = family_class(config)(processor, config)
        check_processor(family, view)
        limit_pixels(family, pixels)
        quantization = nf4(number_type, family) if four_bit else None
        network = load_weights(view, number_type, quantization, "auto" if device == ALL_GPUS else str(target))
        network.name_or_path = processor.tokenizer.name_or_path = str(folder)  # the view is removed
        if adapter_folder:
            network = add_adapter(network, adapter_files, adapter_config)
        # A quantised model is already on its device; some cannot be moved. A spread model would lose its places.
        moves = device != ALL_GPUS and not is_quantized(network)
        (network.to(target) if moves else network).eval().requires_grad_(False)
    files = {"model": digests(folder)}
    if adapter_folder:
        files["adapter"] = digests(adapter_folder, hashed)
    identity = {
        "name": "+".join(Path(part).name for part in (model, adapter) if part is not None),
        "model": str(folder) if Path(model).expanduser().is_dir() else str(model),
        "adapter": None if adapter is None else str(adapter_folder if Path(adapter).expanduser().is_dir() else adapter),
        "family": config.model_type,
        "dtype": str(number_type).removeprefix("torch."),
        **({"quantization": "nf4"} if four_bit else {}),
        "files": files,
        "model_digest": combined(files["model"]),
        "adapter_digest": combined(files["adapter"]) if adapter_folder else None,
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, peft)},
    }
    loaded = LoadedModel(network, processor, family, target, number_type, identity)
    family.attach(loaded.base)
    return loaded


def pick_device(device: str) -> torch.device:
    """Return the device with this name; of ALL_GPUS, the one that gets the inputs."""
    if device == ALL_GPUS:
        if not torch.cuda.is_available():
            raise NoGpus()
        return torch.device("cuda:0")
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    choices = [name for name, there in available.items() if there]
    if device == "auto":
        return torch.device(choices[0])
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        raise NoDevice(device=device, reason="torch does not know it.", choices=", ".join(choices)) from error
    if picked.type not in choices or (picked.type == "cuda" and (picked.index or 0) >= torch.cuda.device_count()):
        raise NoDevice(device=device, reason="torch finds no such device on this machine.", choices=", ".join(choices))
    return picked


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    if dtype == "auto":
        if device.type == "cpu":
            return torch.float32
        capable = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if capable else torch.float16
    if dtype not in DTYPES:
        raise UnknownDtype(dtype=dtype, choices=", ".join(("auto", *DTYPES)))
    return DTYPES[dtype]


def nf4(dtype: torch.dtype, family: Family | type[Family]) -> BitsAndBytesConfig:
    """Return the settings for 4-bit NormalFloat weights with double quantisation; computation uses `dtype`.

    Source: QLoRA, Dettmers et al. 2023, section 3. Tower, projector and output head are not quantised: they are small,
    and the projector is trained. Raises: NoBitsandbytes if the package bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise NoBitsandbytes()
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=[family.tower_name, family.projector_name, family.head_name],
    )


def is_quantized(network: Any) -> bool:
    return getattr(network, "hf_quantizer", None) is not None


def load_weights(
    folder: Path,
    dtype: torch.dtype,
    quantization: BitsAndBytesConfig | None,
    device: str,
) -> torch.nn.Module:
    """Load the model; a quantised one on `device`, others on the CPU, and with device "auto" on all GPUs.

    Raises: IncompleteWeights if transformers would fill missing weights with random numbers; BrokenModel if the files
    cannot be loaded; TooLargeForGpus.
    """
    options: dict[str, Any] = {"quantization_config": quantization} if quantization else {}
    if device == "auto":
        options["device_map"] = "auto"
    elif quantization or "quantization_config" in (read_settings(folder, CONFIG) or {}):
        options["device_map"] = {"": device}
    load: Any = AutoModelForImageTextToText.from_pretrained  # its type does not know `output_loading_info`
    try:
        network, report = load(
            folder, dtype=dtype, trust_remote_code=False, use_safetensors=True, local_files_only=True,
            output_loading_info=True, **options,
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise BrokenModel(path=folder, reason=error) from error
    gaps = sorted(report["missing_keys"]) + sorted(key for key, *_ in report["mismatched_keys"])
    if gaps:
        more = f" and {len(gaps) - NAMES_SHOWN} more" if len(gaps) > NAMES_SHOWN else ""
        raise IncompleteWeights(path=folder, names=", ".join(gaps[:NAMES_SHOWN]) + more)
    if device == "auto":
        check_places(network.hf_device_map)
    return network


def check_places(places: Mapping[str, Any]) -> None:
    """Raise TooLargeForGpus if accelerate left parts of a model in main memory or on disk.

    An adapter cannot be added to such parts, and each pass would copy them to a GPU.
    """
    if left := [part for part, place in places.items() if str(place) in ("cpu", "disk")]:
        raise TooLargeForGpus(count=len(left))
