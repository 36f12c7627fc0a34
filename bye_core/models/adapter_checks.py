"""Checks adapter_config.json of a LoRA adapter against bounds, before peft reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bye_core.models import bounds
from bye_core.models.errors import BrokenModel
from bye_core.models.files import ADAPTER_CONFIG
from bye_core.models.folder_errors import CostlyModel, SettingOutOfBounds
from bye_core.models.sandbox import SANDBOX, SandboxError, SandboxLimit

# Entries that start other code, or that need data beside the adapter. Empty ones are left out for peft.
OTHER_CODE = (
    "runtime_config", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "velora_config",
    "monteclora_config", "kasa_config", "arrow_config", "use_bdlora", "alora_invocation_tokens", "layer_replication",
)  # fmt: skip
# How the matrices are initialised before the file's tensors replace them. Others need data.
INITIALISATIONS = re.compile(r"gaussian|orthogonal|olora|pissa(_niter_\d{1,2})?")
MODULE = re.compile(r"[\w.-]{1,500}")
NUMBERS = ("r", "lora_alpha", "lora_dropout", "qalora_group_size")
FLAGS = ("use_rslora", "use_dora", "fan_in_fan_out", "inference_mode", "use_qalora", "lora_bias", "ensure_weight_tying")
BIASES = ("none", "all", "lora_only")
# Names on which a pattern is tried before the base model is known: those of a large model, and names that repeat.
TRIED = (
    "model.language_model.layers.31.self_attn.q_proj", "model.vision_tower.vision_model.encoder.layers.22.mlp.fc1",
    "model.visual.blocks.31.attn.qkv", "lm_head", "a" * 60, "layers.0." * 10, "q_proj" * 12,
)  # fmt: skip


def check_adapter(folder: Path, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the content of adapter_config.json for peft. Raises: SettingOutOfBounds, BrokenModel, CostlyModel.

    Adapters of another kind than LoRA pass: `read_adapter_config` refuses them by their kind.
    """
    if config.get("peft_type") != "LORA":
        return config
    check = _Checks(folder)
    for key in NUMBERS:
        check.number(key, config.get(key), bounds.RANK)
    if config.get("r") is not None and (not isinstance(config["r"], int) or config["r"] < 1):
        check.refuse("r", config["r"], "it must be a whole number above 0")
    for key in OTHER_CODE:
        if config.get(key):
            check.refuse(key, config[key], "adapters with this setting are not supported")
    for key in FLAGS:
        if not isinstance(config.get(key), bool | None):
            check.refuse(key, config[key], "it must be true or false")
    if config.get("bias") not in (None, *BIASES):
        check.refuse("bias", config["bias"], f"it must be one of {', '.join(BIASES)}")
    start = config.get("init_lora_weights", True)
    if not isinstance(start, bool | None) and not (isinstance(start, str) and INITIALISATIONS.fullmatch(start)):
        check.refuse("init_lora_weights", start, "this initialisation is not supported")
    for key in ("modules_to_save", "target_parameters", "layers_pattern"):
        check.names(key, config.get(key), bounds.MODULES_SAVED)
    for key in ("target_modules", "exclude_modules"):
        check.names_or_pattern(key, config.get(key))
    check.indices("layers_to_transform", config.get("layers_to_transform"), bounds.LAYERS)
    tokens = config.get("trainable_token_indices")
    for value in tokens.values() if isinstance(tokens, dict) else (tokens,):
        check.indices("trainable_token_indices", value, bounds.TOKENS_LISTED, bounds.VOCABULARY)
    for key, most in (("rank_pattern", bounds.RANK), ("alpha_pattern", bounds.RANK)):
        check.patterns(key, config.get(key), most)
    match_patterns(folder, patterns(config), TRIED)
    return {key: value for key, value in config.items() if key not in OTHER_CODE}


def patterns(config: Mapping[str, Any]) -> list[str]:
    """Return the regular expressions in an adapter's config, as peft completes them."""
    whole = [config.get(key) for key in ("target_modules", "exclude_modules")]
    ends = [*(config.get("rank_pattern") or ()), *(config.get("alpha_pattern") or ())]
    return [text for text in whole if isinstance(text, str)] + [rf"(.*\.)?({text})$" for text in ends]


def match_patterns(folder: Path, expressions: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    """Match regular expressions of an adapter in the limited process; return the indices of the names of each.

    peft matches the same expressions against the same names. An expression that takes too long is refused here.
    Raises: CostlyModel if they take too long; BrokenModel if one is no regular expression.
    """
    plain = [re.fullmatch(r"(\(\.\*\\\.\)\?\()?[\w.\\-]*(\)\$)?", text) is not None for text in expressions]
    if all(plain):
        return [[] for _ in expressions]
    try:
        return SANDBOX.match(expressions, names)
    except SandboxLimit as error:
        raise CostlyModel(path=folder, part=f"regular expressions in {ADAPTER_CONFIG}", reason=error) from error
    except SandboxError as error:
        raise BrokenModel(path=folder, reason=f"{ADAPTER_CONFIG} has a wrong regular expression: {error}.") from error


class _Checks:
    """The checks of single entries of one adapter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def refuse(self, field: str, value: Any, expected: str) -> None:
        raise SettingOutOfBounds(path=self.folder, file=ADAPTER_CONFIG, field=field, value=value, expected=expected)

    def number(self, field: str, value: Any, most: int) -> None:
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            self.refuse(field, value, f"it must be a number from 0 to {most:,}")

    def names(self, field: str, value: Any, most: int = bounds.MODULES_LISTED) -> None:
        """Check a list of names of modules, or one name: they become parts of regular expressions in peft."""
        listed = [value] if isinstance(value, str) else value or []
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            self.refuse(field, value, "it must be a list of names")
        if len(listed) > most:
            self.refuse(field, f"{len(listed):,} names", f"at most {most:,} are accepted")
        for name in listed:
            if name and not MODULE.fullmatch(name):
                self.refuse(field, name, "it is no name of a module")

    def names_or_pattern(self, field: str, value: Any) -> None:
        if not isinstance(value, str):
            self.names(field, value)
        elif len(value) > bounds.PATTERN_CHARACTERS:
            self.refuse(field, f"{len(value):,} characters", f"at most {bounds.PATTERN_CHARACTERS:,} are accepted")

    def indices(self, field: str, value: Any, most: int, largest: int | None = None) -> None:
        numbers = [value] if isinstance(value, int) and not isinstance(value, bool) else value or []
        top = most if largest is None else largest
        valid = isinstance(numbers, list) and len(numbers) <= most
        if not valid or not all(type(number) is int and -1 <= number <= top for number in numbers):
            self.refuse(field, value, f"it must be at most {most:,} numbers up to {top:,}")

    def patterns(self, field: str, value: Any, most: int) -> None:
        """Check the numbers of modules that regular expressions name."""
        if not isinstance(value, dict | None):
            self.refuse(field, value, "it must be numbers of modules")
        if len(value or ()) > bounds.PATTERNS:
            self.refuse(field, f"{len(value):,} entries", f"at most {bounds.PATTERNS:,} are accepted")
        for key, number in (value or {}).items():
            if len(key) > bounds.PATTERN_CHARACTERS:
                self.refuse(field, key, f"at most {bounds.PATTERN_CHARACTERS:,} characters are accepted")
            self.number(f"{field}.{key}", number, most)
            if number == 0 and field == "rank_pattern":
                self.refuse(f"{field}.{key}", number, "a rank is above 0")
