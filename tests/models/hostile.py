"""Hostile model and adapter folders, made from one tiny folder each, with the error that refuses each of them."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bye_core.models.errors import (
    AdapterMismatch,
    BrokenModel,
    ForeignCode,
    MisnamedWeights,
    ModelNotFound,
    NoTokenizerFile,
    OriginalLayout,
    PickleWeights,
    ProcessorCode,
    UnsupportedAdapter,
    UnusableChatTemplate,
)
from bye_core.models.folder_errors import (
    CostlyModel,
    FileTooLarge,
    LeadsElsewhere,
    PickledFile,
    QuantizedWeights,
    SettingOutOfBounds,
    TooManyWeights,
    UnsafeFile,
    WeightsElsewhere,
)

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# Patterns that backtrack for ever on the names of modules.
SLOW = (r"([\w.]+)+!", r"(.*.*)*x!", r"(\w+\.?)+\s", r"^(([a-z.0-9_])+.)+[A-Z]([a-z])+$", r"(.*?,){40}P")
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"

GROWING = "{% set n = namespace(x=['a']) %}{% for a in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}"


@dataclass(frozen=True)
class Case:
    """One hostile folder: `change` makes it of a harmless one; `error` refuses it.

    late  whether libraries may read the checked files before the error
    """

    name: str
    change: Callable[[Path], object]
    error: type[Exception]
    late: bool = False


def edit(name: str, **changes: Any) -> Callable[[Path], object]:
    """Change entries of a JSON file; a dotted name with two underscores is a nested entry."""

    def change(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text()) if path.exists() else {}
        for key, value in changes.items():
            *parents, last = key.split("__")
            inner = content
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        replace(path, json.dumps(content).encode())

    return change


def replace(path: Path, data: bytes) -> None:
    """Write a new file: the tests' folders share the unchanged ones by links."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def write(name: str, data: bytes | str) -> Callable[[Path], object]:
    return lambda folder: replace(folder / name, data.encode() if isinstance(data, str) else data)


def kind(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Put something that is no regular file in place of a file."""

    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return change


def link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target.replace("OUTSIDE", str(path.parent.parent / "outside")))


def bound_socket(path: Path) -> None:
    """Bind a socket; its path may be longer than a socket's name."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def both(*changes: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: [change(folder) for change in changes]


def sharded(weight_map: Any, *files: str) -> Callable[[Path], object]:
    """Replace the weights with an index; the weights get the names `files`."""

    def change(folder: Path) -> None:
        data = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).unlink()
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            replace(folder / file, data)
        replace(folder / INDEX, json.dumps({"weight_map": weight_map}).encode())

    return change


def header(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


def sparse(size: int) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return make


def model_cases() -> Iterator[Case]:
    yield from _weights()
    yield from _file_kinds()
    yield from _damaged_files()
    yield from _configs()
    yield from _processors()
    yield from _templates()
    yield from _tokenizers()


def _weights() -> Iterator[Case]:
    named: dict[str, type[Exception]] = {
        "evil.bin": PickledFile, "evil.pt": PickledFile, "evil.PKL": PickledFile, "evil.ckpt": PickledFile,
        "sub/evil.bin": PickledFile, "../outside/x.safetensors": WeightsElsewhere,
        "/etc/x.safetensors": WeightsElsewhere, "sub/x.safetensors": WeightsElsewhere,
        "..\\x.safetensors": WeightsElsewhere, "..": WeightsElsewhere, "": WeightsElsewhere, ".": WeightsElsewhere,
        "a\0b.safetensors": WeightsElsewhere, "config.json": WeightsElsewhere, "x.safetensors.py": WeightsElsewhere,
        "owner/name": WeightsElsewhere, "https://host/x.safetensors": WeightsElsewhere, "gone.safetensors": BrokenModel,
    }  # fmt: skip
    for name, error in named.items():
        yield Case(f"index names {name!r}", sharded({"a": "one.safetensors", "b": name}, "one.safetensors"), error)
    for content in ([], {}, {"a": 3}, {"a": None}, {"a": ["x"]}, "x", None, 7):
        yield Case(f"index of {content!r}", sharded(content), BrokenModel)
    beside = both(lambda folder: replace(folder / INDEX, json.dumps({"weight_map": {"a": "x.bin"}}).encode()))
    yield Case("index beside whole weights", beside, PickledFile)
    linked = both(sharded({"a": "one.safetensors"}, "one.safetensors"), kind("one.safetensors", link("OUTSIDE/w")))
    yield Case("a shard outside", linked, UnsafeFile)
    yield Case(
        "pickled weights only", lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"), PickleWeights, late=True
    )
    for label, data in {
        "empty": b"", "seven bytes": b"1234567", "no header": header(b""), "a long header": header(b"{}", 2**62),
        "a header beyond the file": header(b"{}", 900), "no JSON": header(b"{{"), "a list": header(b"[1]"),
        "a negative side": header(b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}}'),
        "a huge side": header(b'{"a":{"dtype":"F32","shape":[1e30],"data_offsets":[0,0]}}'),
        "no shape": header(b'{"a":{"dtype":"F32"}}'), "a text for a tensor": header(b'{"a":"b"}'),
        "binary": header(bytes(range(256))),
    }.items():  # fmt: skip
        yield Case(f"weights: {label}", write(WEIGHTS, data), BrokenModel)
    yield Case(
        "weights: a deep header", write(WEIGHTS, header(b'{"a":' + b"[" * 90 + b"]" * 90 + b"}")), SettingOutOfBounds
    )
    yield Case("weights: a deeper header", write(WEIGHTS, header(b"[" * 50_000 + b"]" * 50_000)), BrokenModel)
    false = header(b'{"a":{"dtype":"F32","shape":[999999],"data_offsets":[0,4]}}') + b"1234"
    yield Case("weights: false offsets", write(WEIGHTS, false), BrokenModel, late=True)
    yield Case("weights: a hole", kind(WEIGHTS, sparse(1 << 40)), UnsafeFile)
    yield Case("other weights: a hole", kind("extra.safetensors", sparse(1 << 40)), UnsafeFile)


def _file_kinds() -> Iterator[Case]:
    read = (WEIGHTS, "config.json", "tokenizer.json", "tokenizer_config.json", "processor_config.json",
            "generation_config.json", "chat_template.jinja", "special_tokens_map.json")  # fmt: skip
    for name in read:
        yield Case(f"{name} is a pipe", kind(name, os.mkfifo), UnsafeFile)
        yield Case(f"{name} links to a device", kind(name, link("/dev/zero")), UnsafeFile)
        yield Case(f"{name} links out", kind(name, link("OUTSIDE/secret")), UnsafeFile)
    for name in read[:3]:
        yield Case(f"{name} is a folder", kind(name, Path.mkdir), UnsafeFile)
        yield Case(f"{name} is a socket", kind(name, bound_socket), UnsafeFile)
        yield Case(f"{name} links nowhere", kind(name, link("gone")), UnsafeFile)
        yield Case(f"{name} links to itself", kind(name, lambda path: path.symlink_to(path.name)), UnsafeFile)
    for name in ("notes.txt", "other.json", "more.jinja"):
        yield Case(f"{name} links out", kind(name, link("OUTSIDE/secret")), UnsafeFile)
    many = lambda folder: [(folder / f"{n}.x").touch() for n in range(101)]  # noqa: E731
    yield Case("many files", many, BrokenModel)


def _damaged_files() -> Iterator[Case]:
    read = ("config.json", "tokenizer_config.json", "processor_config.json", "generation_config.json")
    for name in read:
        yield Case(f"{name}: deep", write(name, '{"a":' * 60 + "1" + "}" * 60), SettingOutOfBounds)
        yield Case(f"{name}: too deep for Python", write(name, "[" * 200_000 + "]" * 200_000), SettingOutOfBounds)
        yield Case(f"{name}: a list", write(name, "[1, 2]"), BrokenModel)
        yield Case(f"{name}: a long number", write(name, '{"a": ' + "9" * 9000 + "}"), BrokenModel)
        yield Case(f"{name}: no text", write(name, b"\xff\xfe\xfd{}"), BrokenModel)
        yield Case(f"{name}: large", write(name, b'{"a": "' + b"x" * (5 << 20) + b'"}'), FileTooLarge)
        yield Case(f"{name}: many values", write(name, json.dumps({"a": [1] * 300_000})), SettingOutOfBounds)
    for name in ("config.json", "tokenizer_config.json"):
        yield Case(f"{name}: null", write(name, "null"), BrokenModel)
        yield Case(f"{name}: empty", write(name, ""), BrokenModel)
    yield Case("tokenizer.json: large", kind("tokenizer.json", sparse(200 << 20)), FileTooLarge)
    yield Case("vocab.json: large", kind("vocab.json", sparse(200 << 20)), FileTooLarge)
    yield Case("chat_template.jinja: large", write("chat_template.jinja", "x" * (2 << 20)), FileTooLarge)


def _configs() -> Iterator[Case]:
    fields: dict[str, tuple] = {
        "text_config__num_hidden_layers": (10**9, 513, 1e308, float("nan"), -(10**9)),
        "vision_config__num_hidden_layers": (10**6,), "text_config__hidden_size": (10**9, 2**63),
        "text_config__intermediate_size": (10**12,), "text_config__vocab_size": (10**9, 10**18),
        "text_config__num_attention_heads": (10**7,), "text_config__num_key_value_heads": (10**7,),
        "text_config__head_dim": (10**8,), "vision_config__image_size": (10**7,), "vision_config__patch_size": (10**7,),
        "num_labels": (10**8,), "text_config__num_labels": (10**9,), "text_config__num_experts": (10**6,),
        "text_config__max_position_embeddings": (10**30,), "text_config__rope_theta": (1e40,),
        "vision_config__num_channels": (10**9,), "text_config__n_layer": (10**9,), "vision_config__depths": ([10**9],),
        "image_seq_length": (10**14,), "text_config__num_mem_blocks": (10**6,), "vision_config__depth": (10**5,),
    }  # fmt: skip
    for field, values in fields.items():
        for value in values:
            yield Case(f"config {field}={value!r}", edit("config.json", **{field: value}), SettingOutOfBounds)
    experts = edit("config.json", text_config__num_hidden_layers=500, text_config__num_experts=2000)
    yield Case("config: experts in all layers", experts, SettingOutOfBounds)
    layers = edit("config.json", text_config__num_hidden_layers=512)
    yield Case("config: more layers than tensors", layers, SettingOutOfBounds, late=True)
    for changes in (
        {"text_config__vocab_size": 2_000_000, "text_config__hidden_size": 4096},
        {"text_config__intermediate_size": 262_144, "text_config__hidden_size": 65_536},
        {"vision_config__image_size": 8192, "vision_config__patch_size": 1},
    ):
        yield Case(f"config of more weights {changes}", edit("config.json", **changes), TooManyWeights, late=True)
    for method in ("mxfp4", "torchao", "hqq", "quanto", "aqlm", "gguf", "quark", "bitnet", "AWQ", None, 3):
        settings = {"quant_method": method, "bits": 4}
        yield Case(f"quantised with {method}", edit("config.json", quantization_config=settings), QuantizedWeights)
    for method in ("gptq", "mxfp4"):
        nested = edit("config.json", text_config__quantization_config={"quant_method": method, "bits": 4})
        yield Case(f"quantised inside with {method}", nested, QuantizedWeights)
    slow = {"quant_method": "awq", "bits": 4, "modules_to_not_convert": [SLOW[0]]}
    yield Case("quantised but for a slow pattern", edit("config.json", quantization_config=slow), SettingOutOfBounds)
    yield Case("quantised: a text", edit("config.json", quantization_config="gptq"), QuantizedWeights)
    other = {"quant_method": "bitsandbytes", "modules_to_not_convert": "x", "path": "/etc"}
    yield Case("quantised with more", edit("config.json", quantization_config=other), SettingOutOfBounds)
    for field, value in {
        "transformers_weights": "../x.safetensors", "gguf_file": "x.gguf", "fusion_config": {"a": "b"},
        "kernel_config": {"kernel": "owner/name"}, "use_pretrained_backbone": True, "custom_generate": "owner/name",
        "vision_config__architecture": "hf-hub:owner/name", "vision_config__backbone": "owner/name",
        "_attn_implementation": "owner/kernel", "text_config__attn_implementation": "owner/kernel:layer",
        "experts_implementation": "owner/kernel", "_attn_implementation_internal": "owner/kernel",
    }.items():  # fmt: skip
        yield Case(f"config {field}", edit("config.json", **{field: value}), LeadsElsewhere)
    for value in ("os.system", "load", 7, ["float32"], "float32; x"):
        yield Case(f"config dtype={value!r}", edit("config.json", dtype=value), SettingOutOfBounds)
    for field, value in {
        "text_config": 3, "vision_config": [], "text_config__model_type": "nonsense", "vision_config__model_type": 3,
        "text_config__rope_parameters": {"rope_type": "evil"}, "text_config__hidden_size": "large",
        "text_config__num_hidden_layers": None, "text_config__layer_types": ["evil"], "image_token_index": "x",
        "text_config__hidden_act": "evil", "vision_config__patch_size": 0, "text_config__num_attention_heads": 0,
        "text_config__head_dim": -4, "model_type": ["llava"], "get_text_config": "x",
        "text_config__pad_token_id": 10**9, "text_config__attribute_map": {"hidden_size": "vocab_size"},
        "text_config__tie_word_embeddings": [1],
    }.items():  # fmt: skip
        yield Case(f"config {field}={value!r}", edit("config.json", **{field: value}), BrokenModel, late=True)
    code = edit("config.json", model_type="own", auto_map={"AutoConfig": "own.Own"})
    yield Case("config with code", code, OriginalLayout, late=True)


def _processors() -> Iterator[Case]:
    name = "processor_config.json"
    audio = {"audio_tokenizer_class": "DacModel", "audio_tokenizer_name_or_path": "owner/name"}
    yield Case("processor: audio tokenizer", edit(name, audio_tokenizer=audio), LeadsElsewhere)
    yield Case("preprocessor: audio tokenizer", edit("preprocessor_config.json", audio_tokenizer=audio), LeadsElsewhere)
    inside = edit("tokenizer_config.json", audio_tokenizer_name_or_path="../x")
    yield Case("tokenizer: audio tokenizer", inside, LeadsElsewhere)
    yield Case("tokenizer: inputs", edit("tokenizer_config.json", init_inputs=["/etc/passwd"]), LeadsElsewhere)
    yield Case("tokenizer: gguf", edit("tokenizer_config.json", gguf_file="x.gguf"), LeadsElsewhere)
    for field, value in {
        "image_processor__size": {"height": 10**6, "width": 10**6}, "image_processor__crop_size": 10**6,
        "image_processor__size__shortest_edge": 10**9, "patch_size": 10**6, "num_additional_image_tokens": 10**7,
        "image_processor__image_grid_pinpoints": [[10**6, 10**6]], "image_seq_length": 10**6,
        "image_processor__max_patches": 10**5, "image_processor__max_image_tiles": 10**4,
        "image_processor__max_pixels": 10**10,
    }.items():  # fmt: skip
        yield Case(f"processor {field}={value!r}", edit(name, **{field: value}), SettingOutOfBounds)
    side = edit(name, image_processor__size={"shortest_edge": 8000}, patch_size=1)
    yield Case("processor: many patches", side, SettingOutOfBounds, late=True)
    code = edit(name, processor_class="Own", auto_map={"AutoProcessor": "owner/name--own.Own"})
    yield Case("processor with code", code, ProcessorCode, late=True)
    for value in ("os", "BertModel", "Trainer", 3, ["LlavaProcessor"]):
        changed = edit(name, processor_class=value)
        yield Case(f"processor_class={value!r}", changed, BrokenModel, late=True)


def _templates() -> Iterator[Case]:
    for label, text in {
        "loops": LOOP, "a long text": "{{ 'x' * 10**10 }}",
        "a long output": "{% for a in range(99999) %}{{ 'x' * 999 }}{% endfor %}",
        "macros without end": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "a growing list": GROWING,
        "many brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    }.items():  # fmt: skip
        yield Case(f"template: {label}", write("chat_template.jinja", text), CostlyModel, late=True)
    for label, text in {
        "internals": "{{ ''.__class__.__mro__[1].__subclasses__() }}", "a module": "{% import 'os' as os %}{{ os }}",
        "a file": "{% include '/etc/passwd' %}", "a formatted text": "{{ '{0.__class__}'.format(1) }}{{ x.y.z }}",
        "no template": "{% for %}", "an own error": "{{ raise_exception('no') }}", "no texts": "hello",
        "globals": "{{ lipsum.__globals__['os'].system('true') }}", "a wrong call": "{{ dict.fromkeys(3) }}",
        "a namespace": "{% set n = namespace(__class__=1) %}{{ messages }}",
        "the function of a namespace": "{{ namespace.__init__.__globals__ }}",
    }.items():  # fmt: skip
        yield Case(f"template: {label}", write("chat_template.jinja", text), UnusableChatTemplate, late=True)


def _tokenizers() -> Iterator[Case]:
    name = "tokenizer.json"
    for label, data in {
        "empty": "", "a list": "[]", "an object": "{}", "deep": '{"a":' * 5000 + "1" + "}" * 5000,
        "binary": b"\xff" * 900,
        "no model": '{"version": "1.0", "model": {"type": "None"}}',
    }.items():  # fmt: skip
        yield Case(f"tokenizer: {label}", write(name, data), BrokenModel, late=True)
    replaced = {"type": "Replace", "pattern": {"Regex": "."}, "content": "x" * 10**6}
    chain = {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "x"}, "content": "xx"}] * 40}
    for label, part in {"long replacements": replaced, "replacements of replacements": chain}.items():
        start = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "x"}, part]}
        yield Case(f"tokenizer: {label}", edit(name, normalizer=start), CostlyModel, late=True)
    slow = {"type": "Split", "pattern": {"Regex": "(a|a)+$"}, "behavior": "Isolated", "invert": False}
    yield Case("tokenizer: a slow pattern", edit(name, pre_tokenizer=slow), BrokenModel, late=True)
    sides = {"direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}
    for label, filled in {
        "length": {"strategy": {"Fixed": 10**9}, "pad_to_multiple_of": None},
        "multiple": {"strategy": "BatchLongest", "pad_to_multiple_of": 10**9},
    }.items():
        yield Case(f"tokenizer: padding, {label}", edit(name, padding={**filled, **sides}), CostlyModel, late=True)
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    many = [{"id": 400 + n, "content": f"<x{n}>", **token} for n in range(21_000)]
    yield Case("tokenizer: many added tokens", edit(name, added_tokens=many), CostlyModel, late=True)
    wrong = {"type": "Split", "pattern": {"Regex": "((("}, "behavior": "Isolated", "invert": False}
    yield Case("tokenizer: a wrong pattern", edit(name, pre_tokenizer=wrong), BrokenModel, late=True)
    yield Case("no tokenizer", lambda folder: (folder / name).unlink(), NoTokenizerFile, late=True)


def adapter_cases() -> Iterator[Case]:
    """Yield hostile adapters; they are given to a harmless model."""
    for file in (ADAPTER, ADAPTER_WEIGHTS):
        yield Case(f"{file} is a pipe", kind(file, os.mkfifo), UnsafeFile)
        yield Case(f"{file} links out", kind(file, link("OUTSIDE/secret")), UnsafeFile)
        yield Case(f"{file} links to a device", kind(file, link("/dev/zero")), UnsafeFile)
        yield Case(f"{file} is a folder", kind(file, Path.mkdir), UnsafeFile)
    for end in ("bin", "pt", "pkl", "BIN"):
        yield Case(f"weights of both kinds: {end}", write(f"adapter_model.{end}", b"x"), PickledFile)
    other = both(lambda f: (f / ADAPTER_WEIGHTS).rename(f / "x.safetensors"), write("adapter_model.bin", b"x"))
    yield Case("a pickle beside misnamed weights", other, MisnamedWeights)
    yield Case("pickled weights", lambda f: (f / ADAPTER_WEIGHTS).rename(f / "adapter_model.bin"), PickleWeights)
    yield Case("no config", lambda f: (f / ADAPTER).unlink(), ModelNotFound)
    yield Case("a hole", kind(ADAPTER_WEIGHTS, sparse(1 << 40)), UnsafeFile)
    for label, data, error in (
        ("deep", '{"a":' * 60 + "1" + "}" * 60, SettingOutOfBounds), ("a list", "[1]", BrokenModel),
        ("large", "{" + " " * (5 << 20) + "}", FileTooLarge), ("binary", b"\xff\xfe\xfd", BrokenModel),
        ("an object", "{}", UnsupportedAdapter),
    ):  # fmt: skip
        yield Case(f"adapter config: {label}", write(ADAPTER, data), error)
    fields: dict[str, tuple] = {
        "r": (10**6, 0, -3, 1.5, "8", True, [8], float("nan"), 10**30),
        "lora_alpha": (10**9, "16", float("inf"), float("nan")), "lora_dropout": (-1, "x"),
        "target_modules": (["a" * 600], ["("], [3], {"a": 1}, 7, "x" * 30_000, [f"m{n}" for n in range(20_000)]),
        "exclude_modules": (["a|b"], 3, "x" * 30_000), "modules_to_save": (["(a+)+"], [".*"], "(x+)+$", {"a": 1}, 5,
                                                                          [f"m{n}" for n in range(200)]),
        "layers_pattern": (["(a+)+"], "(.*)*", 3),
        "layers_to_transform": (list(range(5000)), "x", [10**9], [1.5], [-9]),
        "rank_pattern": ({"a": 10**6}, {"a": 0}, {"a": "x"}, ["a"], {f"m{n}": 1 for n in range(600)}),
        "alpha_pattern": ({"a": float("inf")}, {"a": 1, "b": "x"}, 3),
        "layer_replication": ([[0, 10**9]], [[0, 2], [1, 3]]),
        "init_lora_weights": ("eva", "corda", "pissa_niter_10000000", 3),
        "loftq_config": ({"loftq_bits": 4},), "eva_config": ({"rho": 2},), "corda_config": ({"cache_file": "/etc/x"},),
        "runtime_config": ({"ephemeral_gpu_offload": True},), "bias": ("everything",), "use_dora": ("yes", 3),
        "target_parameters": (["(a+)+$"], 3),
        "trainable_token_indices": (list(range(200_000)), [10**9], "x", {"a": [1.5]}),
        "alora_invocation_tokens": ([1, 2],), "arrow_config": ({"top_k": 3},), "use_rslora": ("no",),
    }  # fmt: skip
    for field, values in fields.items():
        for number, value in enumerate(values):
            yield Case(f"adapter {field} {number}", edit(ADAPTER, **{field: value}), SettingOutOfBounds)
    for pattern in SLOW[:2]:
        yield Case(f"adapter target {pattern}", edit(ADAPTER, target_modules=pattern), CostlyModel)
    yield Case("adapter: slow exclusion", edit(ADAPTER, exclude_modules=SLOW[2]), CostlyModel)
    yield Case("adapter: slow rank", edit(ADAPTER, rank_pattern={SLOW[3]: 4}), CostlyModel)
    for pattern in ("(", "*", "[", "(?P<a>", "a{3,1}"):
        yield Case(f"adapter: wrong pattern {pattern}", edit(ADAPTER, target_modules=pattern), BrokenModel)
    for field, value in {
        "megatron_config": {"a": 1}, "custom_modules": {"a": "b"}, "auto_mapping": {"base_model_class": "os"},
    }.items():  # fmt: skip
        yield Case(f"adapter {field}", edit(ADAPTER, **{field: value}), ForeignCode)
    for peft_type in ("LOHA", "PREFIX_TUNING", None, 3, ["LORA"], "lora"):
        yield Case(f"adapter of type {peft_type}", edit(ADAPTER, peft_type=peft_type), UnsupportedAdapter)
    for changes in (
        {"r": 8000, "target_modules": "all-linear"},
        {"rank_pattern": {".*": 8000}},
    ):  # fmt: skip
        yield Case(f"adapter of more numbers {changes}", edit(ADAPTER, **changes), CostlyModel, late=True)
    empty = header(
        b'{"base_model.model.embed_tokens.weight":{"dtype":"F32","shape":[999999999,0],"data_offsets":[0,0]}}'
    )
    yield Case("adapter: embeddings without numbers", write(ADAPTER_WEIGHTS, empty), CostlyModel, late=True)
    for changes in (
        {"task_type": "EVIL"}, {"target_modules": []}, {"target_modules": None}, {"target_modules": ["nowhere"]},
        {"modules_to_save": ["model", "language_model", "lm_head"]},
    ):  # fmt: skip
        yield Case(f"adapter {changes}", edit(ADAPTER, **changes), AdapterMismatch, late=True)
