"""The limited process of `sandbox.py`: renders templates, tries tokenizers and matches patterns of hostile folders.

It runs as a script and imports neither torch nor transformers, so that it starts in a fraction of a second. Each line
of its input is a request {"task": ..., "seconds": ..., and the task's arguments}; each line of its output is the answer
{"result": ...} or {"error": kind, "reason": ...}.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

try:
    import resource
except ImportError:  # Windows has no such limits; there, the parent's clock alone stops this process.
    resource = None  # type: ignore[assignment]

TOKENS_ADDED, TOKENS_FOR_EACH_CHARACTER = 4096, 64
MOST_PADDING = 4096  # tokens to which a tokenizer may fill up a text; libraries take it over as their default
# Texts on which patterns of tokenizers take long if they can: runs of one kind of character, then a mix.
PROBES = (
    *(character * 4000 for character in "a1 !\n中'"), "aA1! \n" * 700, "a" * 2000 + "!", " " * 2000 + "a",
    "<image>" * 300, "\u0301" * 500, "😀" * 500, "",
)  # fmt: skip


@lru_cache(64)
def compiled_template(source: str) -> Any:
    """Return a chat template, compiled in an environment like that of transformers."""
    from jinja2 import TemplateError, nodes
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import Namespace

    class Generation(Extension):
        """Renders the body of {% generation %} unchanged; it marks the answers in a prompt."""

        tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("body"), [], [], body).set_lineno(line)

        def body(self, caller: Callable[[], str]) -> str:
            return caller()

    class PublicNamespace(Namespace):
        """A namespace without names that begin with an underscore, which lead to the internals of Python."""

        def __init__(*args: Any, **kwargs: Any) -> None:
            self, values = args[0], dict(*args[1:], **kwargs)
            for name in values:
                PublicNamespace._check(name)
            Namespace.__init__(self, values)

        def __setitem__(self, name: str, value: Any) -> None:
            PublicNamespace._check(name)
            Namespace.__setitem__(self, name, value)

        @staticmethod
        def _check(name: Any) -> None:
            if isinstance(name, str) and name.startswith("_"):
                raise SecurityError(f"A template cannot store the name {name!r}.")

    class MakeDict:
        """The function dict, without the attributes of the class."""

        def __call__(self, *args: Any, **kwargs: Any) -> dict:
            return dict(*args, **kwargs)

        def fromkeys(self, *args: Any, **kwargs: Any) -> dict:
            return dict.fromkeys(*args, **kwargs)

    def to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def strftime_now(form: str) -> str:
        return datetime.now().strftime(form)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals.update(
        raise_exception=raise_exception, strftime_now=strftime_now, dict=MakeDict(), namespace=PublicNamespace
    )
    return environment.from_string(source)


def render(source: str, values: dict[str, Any], most: int) -> str:
    """Return the rendered template; at most `most` characters are accepted."""
    parts, length = [], 0
    for part in compiled_template(source).generate(**values):
        parts.append(part)
        length += len(part)
        if length > most:
            raise MemoryError(f"it writes more than {most:,} characters")
    return "".join(parts)


def try_tokenizer(path: str, most: int, longest: int) -> int:
    """Load tokenizer.json and encode texts on which patterns take long. Returns the number of tokens.

    most     how many tokens may be added to the vocabulary
    longest  how many characters a token may have
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    if len(tokenizer.get_added_tokens_decoder()) > most:
        raise MemoryError(f"it adds more than {most:,} tokens to its vocabulary")
    if max(map(len, tokenizer.get_vocab()), default=0) > longest:
        raise MemoryError(f"it has a token of more than {longest:,} characters")
    padding = tokenizer.padding or {}
    if max(padding.get("length") or 0, padding.get("pad_to_multiple_of") or 0) > MOST_PADDING:
        raise MemoryError(f"it fills texts up with more than {MOST_PADDING:,} tokens")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for text in PROBES:
        encoding = tokenizer.encode(text, add_special_tokens=True)
        check_growth(text, len(encoding))
        tokenizer.decode(encoding.ids[:1000])
    return tokenizer.get_vocab_size()


def check_growth(text: str, tokens: int) -> None:
    """Check the number of tokens of a text: known tokenizers write at most four for a character."""
    if tokens > TOKENS_ADDED + TOKENS_FOR_EACH_CHARACTER * len(text):
        raise MemoryError(f"it writes {tokens:,} tokens for a text of {len(text):,} characters")


# The tokenizer of the last request of `use_tokenizer`, by its digest.
_loaded: dict[str, Any] = {}


def use_tokenizer(digest: str, texts: list[str], ids: list[int], split: bool, definition: str = "") -> bool:
    """Encode texts and decode token ids. Returns whether that was done: not if the definition must be sent first."""
    from tokenizers import Tokenizer

    if digest not in _loaded:
        if not definition:
            return False
        _loaded.clear()
        tokenizer = Tokenizer.from_str(definition)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        _loaded[digest] = tokenizer
    tokenizer = _loaded[digest]
    tokenizer.encode_special_tokens = split
    for text in texts:
        check_growth(text, len(tokenizer.encode(text)))
    if ids:
        tokenizer.decode(ids)
    return True


def match(patterns: list[str], names: list[str]) -> list[list[int]]:
    """Return, for each pattern, the indices of the names that it matches as a whole."""
    compiled = [re.compile(pattern) for pattern in patterns]
    return [[i for i, name in enumerate(names) if pattern.fullmatch(name)] for pattern in compiled]


TASKS: dict[str, Callable[..., Any]] = {
    "render": render, "try_tokenizer": try_tokenizer, "use_tokenizer": use_tokenizer, "match": match,
}  # fmt: skip


def answer(line: bytes) -> dict[str, Any]:
    """Carry out one request. An unexpected exception is the fault of the folder: it becomes an answer, too."""
    request = json.loads(line)
    limit_seconds(request.pop("seconds"))
    try:
        return {"result": TASKS[request.pop("task")](**request)}
    except MemoryError as error:
        return {"error": "limit", "reason": str(error) or "it takes too much memory"}
    except RecursionError:
        return {"error": "limit", "reason": "it is nested too deeply"}
    except BaseException as error:  # noqa: BLE001 - a panic of the tokenizers library is no Exception
        return {"error": type(error).__name__, "reason": str(error)[:2000]}


def limit_process(most_bytes: int) -> None:
    """Limit the memory of this process, and forbid it to write files."""
    if resource is None:
        return
    for kind, most in (("RLIMIT_AS", most_bytes), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0)):
        try:
            resource.setrlimit(getattr(resource, kind), (most, most))
        except (ValueError, OSError, AttributeError):
            continue  # macOS accepts no limit of the address space


def limit_seconds(seconds: float) -> None:
    """End this process after `seconds` more seconds of processor time; 0 removes the limit."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)  # SIGPROF ends a process that does not handle it


def main() -> None:
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    limit_process(int(sys.argv[1]))
    for line in sys.stdin.buffer:
        text = json.dumps(answer(line)).encode()
        limit_seconds(0)
        output.write(text + b"\n")
        output.flush()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its modules have common names
    main()
