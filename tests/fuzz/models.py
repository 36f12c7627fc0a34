"""Mutates the settings of a tiny model and of an adapter, and loads them: nothing but a ByeError may come out.

By hand: python -m tests.fuzz.models [--count 100000] [--seed 0] [--deep 0.1]

Each round changes one to four entries of one file and checks that file. A share of the rounds (`--deep`) goes on to the
libraries: the config and the skeleton of a model, the config of an adapter, the processor; and a share of those loads
the model with its weights. A round that takes more than 20 seconds, or raises anything but a ByeError, is a finding; it
is printed with its seed, and `--seed N --count 1` repeats it.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import torch
from jinja2 import TemplateError
from peft import LoraConfig, PeftConfig, get_peft_model
from transformers.utils import logging

from bye_core.errors import ByeError
from bye_core.models import bounds
from bye_core.models.adapter import read_adapter_config
from bye_core.models.adapter_checks import check_adapter
from bye_core.models.checked_files import read_bytes, read_settings
from bye_core.models.files import ADAPTER_CONFIG, TOKENIZER_FILE
from bye_core.models.folder_view import SETTINGS, TEMPLATE, adapter_view, model_view, unforeseen_errors
from bye_core.models.loading import load_model
from bye_core.models.model_config import check_weights, read_config
from bye_core.models.probes import ChatTemplate, probe_tokenizer
from bye_core.models.processors import load_processor
from bye_core.models.weights_files import INDEX, weights_names
from tests.models.families.llava import tiny_model
from tests.models.tiny import save_tiny

HANG_SECONDS = 20
WHOLE = 0.1  # share of the deep rounds that load the weights
FILES = ("config.json", "processor_config.json", "tokenizer_config.json", "generation_config.json", TOKENIZER_FILE,
         ADAPTER_CONFIG, INDEX, TEMPLATE)  # fmt: skip
WEIGHTS = (40, 15, 10, 4, 3, 40, 6, 4)  # how often each file is changed
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 64, 1000, 65_537, 10**6, 10**9, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), "", "x", "auto", "llava", "llama", "clip_vision_model", "qwen2_vl", "../../etc/passwd",
    "/dev/zero", "owner/name", "https://host/x", "a\0b", "\ud800", "(a+)+$", "([\\w.]+)+!", "(", ".*", "x" * 10_000,
    "float16", "os.system", [], {}, [[]], [1, 2, 3], ["x"], [None], {"x": 1}, {"": {}}, [10**9] * 3, ["q_proj"],
    {"rope_type": "yarn", "factor": 10**9}, {"height": 10**9, "width": 1}, {"shortest_edge": 10**9}, {"a": [{"b": {}}]},
)  # fmt: skip
KEYS = (
    "model_type", "num_hidden_layers", "hidden_size", "vocab_size", "num_attention_heads", "layer_types",
    "rope_scaling", "quantization_config", "auto_map", "dtype", "torch_dtype", "num_labels", "id2label",
    "tie_word_embeddings", "transformers_weights", "attn_implementation", "architectures", "text_config",
    "vision_config", "image_seq_length", "processor_class", "image_processor_type", "tokenizer_class",
    "chat_template", "audio_tokenizer", "size", "crop_size", "patch_size", "extra_special_tokens",
    "added_tokens_decoder", "additional_special_tokens", "backend", "auto_mapping", "r", "target_modules",
    "rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform", "init_lora_weights", "peft_type",
    "task_type", "use_dora", "target_parameters", "trainable_token_indices", "exclude_modules", "bias",
    "is_encoder_decoder", "pruned_heads", "sub_configs", "problem_type", "_name_or_path", "weight_map",
    "vision_feature_layer", "backbone", "backbone_config", "use_timm_backbone", "pooler", "normalizer",
    "pre_tokenizer", "model", "decoder",
)  # fmt: skip
PIECES = (
    "{%", "%}", "{{", "}}", "for a in range(99999)", "endfor", "if", "else", "endif", "set x =", "messages", "['x']",
    "|", "tojson", "*", "9**9", "'x'", "loop", "namespace", "macro m()", "endmacro", "m()", ".", "content", "\n",
    "generation", "endgeneration", "~", "[0]", "('a',)", "__class__", "raise_exception('x')",
)  # fmt: skip


MESSAGES = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "x"}]}]


class NoTokens:
    """Stands in for a tokenizer without special tokens."""

    name_or_path = ""
    special_tokens_map: ClassVar[dict] = {}


class Hang(BaseException):
    """A round took too long."""


def base_folders(root: Path) -> tuple[Path, Path]:
    """Save the tiny model and an adapter of it."""
    model = save_tiny(root / "model")
    wrapped = get_peft_model(tiny_model(), LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    wrapped.save_pretrained(root / "adapter")
    return model, root / "adapter"


def mutated(content: Any, source: random.Random) -> Any:
    """Return a copy of JSON with one to four entries changed."""
    content = json.loads(json.dumps(content))
    for _ in range(source.randint(1, 4)):
        inner = content
        while isinstance(inner, dict | list) and inner and source.random() < 0.6:
            inner = inner[source.choice(list(inner))] if isinstance(inner, dict) else source.choice(inner)
        if not isinstance(inner, dict | list):
            inner = content
        value = copy.deepcopy(source.choice(VALUES)) if source.random() < 0.9 else nested(source)
        if isinstance(inner, list):
            inner.insert(source.randint(0, len(inner)), value)
        elif source.random() < 0.1 and inner:
            del inner[source.choice(list(inner))]
        else:
            keys = list(inner) if inner and source.random() < 0.6 else KEYS
            inner[source.choice(list(keys))] = value
    return content


def nested(source: random.Random) -> Any:
    value: Any = copy.deepcopy(source.choice(VALUES))
    for _ in range(source.choice((2, 10, 40, 400))):
        value = [value] if source.random() < 0.5 else {source.choice(KEYS): value}
    return value


def template(source: random.Random, text: str) -> str:
    if source.random() < 0.5:
        return " ".join(source.choices(PIECES, k=source.randint(1, 30)))
    start = source.randrange(len(text) + 1)
    return (
        text[:start] + " ".join(source.choices(PIECES, k=source.randint(1, 3))) + text[start + source.randint(0, 9) :]
    )


def changed(folder: Path, name: str, source: random.Random) -> bytes:
    """Return new bytes for a file of a folder."""
    path = folder / name
    if name.endswith(".jinja"):
        data = template(source, path.read_text()).encode("utf-8", "surrogatepass")
    else:
        content = json.loads(path.read_text()) if path.exists() else {"weight_map": {"a": "model.safetensors"}}
        data = json.dumps(mutated(content, source)).encode()
    if source.random() < 0.03:  # damaged bytes
        at = source.randrange(len(data))
        data = data[:at] + bytes(source.choices(range(256), k=3)) + data[at + source.randint(0, 3) :]
    return data


def one_round(number: int, folders: tuple[Path, Path], work: Path, deep: float) -> str:
    """Change one file and read the folder; return the name of the error, or how far it was loaded."""
    source = random.Random(number)
    name = source.choices(FILES, WEIGHTS)[0]
    base = folders[name == ADAPTER_CONFIG]
    for file in work.iterdir():
        file.unlink()
    (work / name).write_bytes(changed(base, name, source))
    depth = source.random()
    try:
        if depth >= deep:
            check_alone(work, name)
            return "passed the checks"
        for file in base.iterdir():
            if file.name != name:
                os.link(file, work / file.name)
        if depth < WHOLE * deep:
            is_adapter = name == ADAPTER_CONFIG
            load_model(folders[0] if is_adapter else work, work if is_adapter else None, device="cpu")
            return "loaded with weights"
        with unforeseen_errors(work):
            read_folder(work, name)
        return "loaded by libraries"
    except ByeError as error:
        return type(error).__name__


def check_alone(work: Path, name: str) -> None:
    """Check one file as `load_model` does, without the other files and without libraries."""
    if name == TEMPLATE:
        text = read_bytes(work, name, bounds.TEMPLATE_BYTES) or b""
        with contextlib.suppress(TemplateError):
            ChatTemplate(text.decode("utf-8", "replace"), NoTokens())(MESSAGES, generation=True)
    elif name == INDEX:
        weights_names(work)
    elif name == TOKENIZER_FILE:
        probe_tokenizer(work)
    elif name == ADAPTER_CONFIG:
        check_adapter(work, name, read_settings(work, name) or {})
    else:
        SETTINGS[name](work, name, read_settings(work, name) or {})


def read_folder(work: Path, name: str) -> None:
    """Give a folder to the libraries, as far as they need no weights."""
    if name == ADAPTER_CONFIG:
        read_adapter_config(work)
        with adapter_view(work) as view, contextlib.suppress(ValueError, TypeError, KeyError):
            PeftConfig.from_pretrained(str(view))
        return
    with model_view(work) as view:
        config = read_config(view)
        if name == "config.json":
            check_weights(work, config)
        else:
            load_processor(view, config)


def write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deep", type=float, default=0.1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.set_verbosity(50)
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    bounds.TEMPLATE_SECONDS = bounds.PATTERN_SECONDS = 0.5  # type: ignore[assignment]

    def hang(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, hang)
    outcomes: Counter[str] = Counter()
    findings = slowest = 0.0
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bye-fuzz-") as root:
        folders, work = base_folders(Path(root)), Path(root) / "work"
        work.mkdir()
        for number in range(options.seed, options.seed + options.count):
            begun = time.monotonic()
            signal.alarm(HANG_SECONDS)
            try:
                outcome = one_round(number, folders, work, options.deep)
            except (Exception, Hang) as error:  # noqa: BLE001 - this is what the harness looks for
                findings += 1
                outcome = f"FINDING {type(error).__name__}"
                write(f"seed {number}: {outcome}: {str(error)[:300]}")
            finally:
                signal.alarm(0)
            outcomes[outcome] += 1
            slowest = max(slowest, time.monotonic() - begun)
            if (number + 1 - options.seed) % 5000 == 0:
                write(f"{number + 1 - options.seed:,} rounds, {findings:.0f} findings")
    last, seconds = options.seed + options.count - 1, time.monotonic() - started
    write(f"seeds {options.seed} to {last}: {options.count:,} configs in {seconds:.0f} s, {findings:.0f} findings")
    write(f"slowest round: {slowest:.1f} s")
    for outcome, count in outcomes.most_common():
        write(f"{count:8,}  {outcome}")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
