"""Checks the settings of a model folder against bounds, and removes those that libraries must not see.

Every check raises SettingOutOfBounds or LeadsElsewhere, which name the file, the entry and its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bye_core.models import bounds
from bye_core.models.folder_errors import LeadsElsewhere, QuantizedWeights, SettingOutOfBounds
from bye_core.models.quantization import BITSANDBYTES, check_quantization

Settings = dict[str, Any]

# Bounds of the numbers in config.json by the name of the entry; the first pattern that matches applies.
CONFIG_BOUNDS: tuple[tuple[str, int], ...] = (
    (r"rope|theta|base|max_position|positions?$|context|length$|max_length|pixels|token_id|token_index|_id$",
     bounds.NUMBER),
    (r"(num|n)_.*experts|experts$", bounds.EXPERTS),
    (r"heads?$|n_head|kv_heads|groups?$", bounds.HEADS),
    (r"vocab", bounds.VOCABULARY),
    (r"layers?$|^n_layer|depths?$|blocks?$|stages?$", bounds.LAYERS),
    (r"image_size|img_size", bounds.SIDE),
    (r"size$|dim(s|ension)?$|width|hidden|intermediate|inner|embed|channels|rank$|ratio$|factor$|^d_|_d$|kernel|expand",
     bounds.WIDTH),
    (r"^(num|n)_|count|num$|interval|every", bounds.COUNT),
)  # fmt: skip
LAYERS_PATTERN = r"layers?$|^n_layer|depth$"
# The same for processor_config.json, preprocessor_config.json and their kin.
PROCESSOR_BOUNDS: tuple[tuple[str, int], ...] = (
    (r"pixels|longest_edge|shortest_edge", bounds.MOST_PIXELS),
    (r"height|width|size|edge|side|pinpoints|resolution", bounds.SIDE),
    (r"max_patches|min_patches", bounds.PATCHES_LISTED),
    (r"tiles?$|crops$|dynamic|grid", bounds.TILES),
    (r"num|seq|token|length|len$|patches|frames|fps|factor|merge|stride|pool", bounds.COUNT),
)
# Entries that make transformers read other files, download or build something else.
LEADING = (
    "transformers_weights", "gguf_file", "fusion_config", "kernel_config", "distributed_config", "custom_generate",
    "use_pretrained_backbone", "audio_tokenizer", "audio_tokenizer_name_or_path", "init_inputs",
)  # fmt: skip
# Entries that name a part of another library, which downloads it if the name leads to the hub.
PARTS = re.compile(r"architecture|backbone|.*model_name")
# Implementations by name; a name with a slash is one on the hub.
IMPLEMENTATIONS = re.compile(r"_?(attn|experts|attention|kernels?)_implementation(_internal|_autoset)?")
# Entries of tokenizer_config.json that name files: old versions wrote where they were saved. Libraries get none.
NAMED_FILES = re.compile(r".*_files?$|name_or_path$|.*_path$")
# Entries that processors of transformers take as arguments of each call of the tokenizer: they fill texts up to 10^9
# tokens, or cut them. This tool chooses its own arguments.
CALL_ARGUMENTS = re.compile(
    r"padding|truncation|max_length|stride|pad_to_multiple_of|is_split_into_words|return_\w+|text_kwargs|common_kwargs"
)
DTYPES = re.compile(r"(torch\.)?(auto|float|double|half|(b?float|u?int)\d{1,2}|float8_\w{1,12}|complex\d{2,3}|bool)")
# What transformers may take from generation_config.json. Entries that name code, caches or other models are left out.
GENERATION = (
    "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id",
    "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "do_sample", "temperature",
    "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "no_repeat_ngram_size", "transformers_version",
)  # fmt: skip


def check_config(folder: Path, config: Settings) -> Settings:
    """Return the content of config.json for libraries. Raises: QuantizedWeights, too."""
    name = "config.json"
    check_numbers(folder, name, config, CONFIG_BOUNDS)
    check_leads(folder, name, config)
    layers = largest(config, LAYERS_PATTERN)
    experts = largest(config, r"experts$")
    if layers * experts > bounds.LAYERS_TIMES_EXPERTS:
        expected = f"at most {bounds.LAYERS_TIMES_EXPERTS:,} experts in all layers are accepted"
        raise SettingOutOfBounds(
            path=folder, file=name, field="layers x experts", value=layers * experts, expected=expected
        )
    for key, value in entries(config):
        if key in ("dtype", "torch_dtype") and not (isinstance(value, str) and DTYPES.fullmatch(value)) and value:
            raise SettingOutOfBounds(path=folder, file=name, field=key, value=value, expected="it is no type of number")
        if key == "quantization_config" and value and value is not config.get(key):
            method = check_quantization(folder, value)["quant_method"]
            if method != BITSANDBYTES:
                raise QuantizedWeights(path=folder, method=f"{method} in a part alone")
    if not config.get("quantization_config"):
        return config
    return {**config, "quantization_config": check_quantization(folder, config["quantization_config"])}


def check_processor(folder: Path, name: str, settings: Settings) -> Settings:
    """Return the content of a processor's file for libraries."""
    check_numbers(folder, name, settings, PROCESSOR_BOUNDS)
    check_leads(folder, name, settings)
    check_template(folder, name, settings.get("chat_template"))
    return settings


def check_tokenizer(folder: Path, name: str, settings: Settings) -> Settings:
    """Return the content of tokenizer_config.json and its kin for libraries.

    Names of files and arguments of calls are left out.
    """
    check_leads(folder, name, settings)
    check_template(folder, name, settings.get("chat_template"))
    left_out = (NAMED_FILES, CALL_ARGUMENTS)
    return {key: value for key, value in settings.items() if not any(names.fullmatch(key) for names in left_out)}


def check_generation(folder: Path, name: str, settings: Settings) -> Settings:
    """Return the content of generation_config.json for libraries: token ids and how tokens are chosen."""
    kept = {key: value for key, value in settings.items() if key in GENERATION}
    check_numbers(folder, name, kept, ())
    return kept


def check_template(folder: Path, name: str, template: Any) -> None:
    """Check the length of a chat template, or of each of several."""
    texts = [template] if isinstance(template, str) else [value for _, value in entries({"": template})]
    longest = max((len(text) for text in texts if isinstance(text, str)), default=0)
    if longest > bounds.TEMPLATE_BYTES:
        expected = f"at most {bounds.TEMPLATE_BYTES:,} characters are accepted"
        raise SettingOutOfBounds(
            path=folder, file=name, field="chat_template", value=f"{longest:,} characters", expected=expected
        )


def check_leads(folder: Path, name: str, settings: Settings) -> None:
    """Check that no entry makes a library read from another place."""
    for key, value in entries(settings):
        away = isinstance(value, str) and any(mark in value for mark in "/\\:")
        named = IMPLEMENTATIONS.fullmatch(key) or PARTS.fullmatch(key)
        if value and (key in LEADING or (named and away)):
            raise LeadsElsewhere(path=folder, file=name, field=key, value=value)


def check_numbers(folder: Path, name: str, settings: Settings, limits: tuple[tuple[str, int], ...]) -> None:
    """Check every number against the bound of its entry; the numbers of a list have the bound of the list."""
    for key, value in entries(settings):
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        most = next((limit for pattern, limit in limits if re.search(pattern, key)), bounds.NUMBER)
        # `not` also refuses NaN. Infinity is a bound of time steps in some models.
        if not abs(value) <= most and not (value in (float("inf"), -float("inf")) and most == bounds.NUMBER):
            expected = f"at most {most:,} is accepted"
            raise SettingOutOfBounds(path=folder, file=name, field=key, value=value, expected=expected)


def entries(settings: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (key, value) of every value in JSON, at any depth. The entries of a list have the list's key."""
    pending = [(key, settings)]
    while pending:
        name, value = pending.pop()
        yield name, value
        if isinstance(value, Mapping):
            pending.extend((str(inner), entry) for inner, entry in value.items())
        elif isinstance(value, list):
            pending.extend((name, entry) for entry in value)


def largest(settings: Settings, pattern: str) -> int:
    """Return the largest whole number among the entries whose names match a pattern; 0 if there is none."""
    numbers = [
        value
        for key, value in entries(settings)
        if isinstance(value, int) and not isinstance(value, bool) and re.search(pattern, key)
    ]
    return max(numbers, default=0)
