"""Every message of the package is words: no address of an object, no Python syntax, no base64, no missing option."""

from __future__ import annotations

import argparse
import ast
import base64
import importlib
import inspect
import io
import pkgutil
import re
import string
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

import bye_core
from bye_core.cli.main import COMMANDS, build_parser
from bye_core.errors import ByeError, SampleFailed, printable, quoted

MODULES = {
    info.name: importlib.import_module(info.name)
    for info in pkgutil.walk_packages(bye_core.__path__, "bye_core.")
    if not info.name.endswith("__main__")
}


def subclasses(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


CLASSES = sorted(
    {kind for kind in subclasses(ByeError) if kind.__module__.startswith("bye_core.")},
    key=lambda kind: (kind.__module__, kind.__name__),
)


def name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def facts_of(kind: Any) -> set[str]:
    """The names of the facts in a class's templates."""
    parts = [*string.Formatter().parse(kind.problem), *string.Formatter().parse(kind.remedy)]
    return {name for _, name, _, _ in parts if name}


class Plain:
    """An object without a text of its own."""


def unreadable_image() -> Exception:
    with pytest.raises(UnidentifiedImageError) as caught:
        Image.open(io.BytesIO(b"x"))
    return caught.value


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


BASE64 = base64.b64encode(np.random.default_rng(0).bytes(3000)).decode()
HOSTILE: dict[str, Callable[[], Any]] = {
    "object": Plain,
    "stream": lambda: io.BytesIO(b"x"),
    "function": lambda: lambda: 0,
    "class": lambda: dict,
    "none": lambda: None,
    "true": lambda: True,
    "list": lambda: ["a", None, Path("/x"), Plain(), b"bytes"],
    "tuple of one": lambda: ("a",),
    "set": lambda: {f"id-{k}" for k in range(20)},
    "mapping": lambda: {"a": {"b": None, "c": [1, "x"]}},
    "bytes": lambda: b"\x89PNG" * 100,
    "base64": lambda: BASE64,
    "data URI": lambda: f"data:image/png;base64,{BASE64}",
    "short data URI": lambda: f"data:image/png;base64,{BASE64[:60]}==",
    "path": lambda: Path("/data/set"),
    "array": lambda: np.arange(3),
    "number of NumPy": lambda: np.float32(0.5),
    "brackets": lambda: "{id} {0} {x!r} {}",
    "control": lambda: "a\x1b[31m\x00\ud800\r\nb",
    "long": lambda: "word " * 5000,
    "image error": unreadable_image,
    "key error": lambda: KeyError("name"),
    "system error": lambda: FileNotFoundError(2, "No such file or directory", "/data/x"),
    "empty error": RuntimeError,
    "error of many lines": lambda: RuntimeError(f"first\n  second {Plain()!r}"),
    "path as text": lambda: f"not {Path('/data/x')!r} but {int!r}",
    "our error": lambda: SampleFailed(id=1, reason=Plain()),
}
FORBIDDEN = re.compile(
    r"0x[0-9a-fA-F]{6,}|object at|<class|<function|<bound|Path\(|\bNone\b|\bTrue\b|\bFalse\b"
    r"|frozenset\(|\{'|\['|\('|\bb'|[A-Za-z0-9+/]{30,}"
)
UNFILLED = re.compile(r"\{[a-z_]+(![a-z])?(:[^{}]*)?\}")


@pytest.mark.parametrize("kind", CLASSES, ids=name_of)
def test_messages_are_words_whatever_the_facts(kind: Any) -> None:
    own_words = f"{kind.problem} {kind.remedy}"
    for case, make in HOSTILE.items():
        texts = []
        for _ in range(2):
            facts = {name: make() for name in facts_of(kind)}
            error = kind(**facts)
            texts.append(f"{error.problem} {error.remedy}")
            assert error.kind == kind.__name__
        assert texts[0] == texts[1], f"{case}: equal facts give equal texts"
        assert texts[0].isprintable(), case
        assert texts[0] == str(error)
        assert len(texts[0]) < 15_000, case
        for match in FORBIDDEN.finditer(texts[0]):
            assert match.group() in own_words, f"{case}: {texts[0]}"
        if case != "brackets":
            assert not UNFILLED.search(texts[0]), texts[0]


def calls_of_errors() -> Iterator[tuple[str, Any, ast.Call]]:
    """Every place of the package that makes a ByeError: (module and line, class, call)."""
    for name, module in MODULES.items():
        path = getattr(module, "__file__", None)
        tree = ast.parse(Path(path).read_text(encoding="utf-8")) if path else ast.Module([], [])
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                kind: Any = module
                for part in ast.unparse(node.func).split("."):
                    kind = getattr(kind, part, None)
                if isinstance(kind, type) and issubclass(kind, ByeError):
                    yield f"{name}:{node.lineno}", kind, node


CALLS = list(calls_of_errors())


def test_the_walk_reaches_every_part_of_the_package() -> None:
    assert len(CLASSES) > 150
    assert len(CALLS) > 200
    assert {kind.__module__.split(".")[1] for kind in CLASSES} >= {"data", "models", "runs", "pipeline", "cli", "ui"}


def test_every_error_is_given_all_of_its_facts() -> None:
    for place, kind, call in CALLS:
        names = {keyword.arg for keyword in call.keywords}
        parameters = inspect.signature(kind.__init__).parameters
        positional = list(parameters)[1 : 1 + len(call.args)]
        defaults = {name for name, one in parameters.items() if one.default is not one.empty}
        missing = facts_of(kind) - names - set(positional) - defaults
        assert not missing or None in names, f"{place}: {kind.__name__} lacks {missing}"


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from options(sub)


# Options of other programs that texts of this package name.
OTHERS = {"--no-deps", "--standalone", "--nproc_per_node", "--nnodes", "--node_rank", "--master_addr"}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z_-]*[a-z]")
COMMAND = re.compile(r"(?:python -m bye_core|bye-core) ([a-z][a-z-]*)")


def texts_of(module: types.ModuleType) -> Iterator[str]:
    if path := getattr(module, "__file__", None):
        for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_texts_name_only_options_and_subcommands_that_exist() -> None:
    known = set(options(build_parser())) | OTHERS
    for name, module in MODULES.items():
        if name.startswith(("bye_core.ui", "bye_core.reports", "bye_core.figures")):  # "--name" is a variable of CSS
            continue
        for text in texts_of(module):
            assert set(OPTION.findall(text)) <= known, f"{name}: {text}"
            assert set(COMMAND.findall(text)) <= set(COMMANDS), f"{name}: {text}"
    for kind in CLASSES:
        text = f"{kind.problem} {kind.remedy}"
        assert set(OPTION.findall(text)) <= known, text
        assert set(COMMAND.findall(text)) <= set(COMMANDS), text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        (3, "3"),
        ("a", "a"),
        ({"b", "a"}, "a, b"),
        ({"a": [1, None]}, "a: 1, none"),
        (b"123", "3 bytes"),
        (nested(100), "…"),
        (Path("/x/y"), "/x/y"),
        (Plain(), "an object of type Plain"),
        (KeyError("name"), "there is no key name"),
        (FileNotFoundError(2, "No such file or directory", "x"), "No such file or directory: x"),
        (ValueError("one\n two"), "one two"),
        (unreadable_image(), "cannot identify image file BytesIO"),
        ("a\nb\x1b", "a\\nb\\x1b"),
        (f"data:image/png;base64,{BASE64}", f"data:image/png;base64,{BASE64[:12]}…"),
        ("/" + "/".join(["Folder1", "images"] * 20) + "/x.png", "/" + "/".join(["Folder1", "images"] * 20) + "/x.png"),
        ("0" * 64, "0" * 64),
    ],
)
def test_words(value: Any, text: str) -> None:
    assert printable(value) == text


def test_quotation_marks_are_for_texts_only() -> None:
    assert [quoted(value) for value in ("a b ", None, 3)] == ["'a b '", "none", "3"]
    assert printable("x" * 5000) == "x" * 2000 + "…"
