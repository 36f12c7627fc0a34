"""Runs a model's chat template, tokenizer and patterns in a child process with limits on time and memory.

The child starts once for each process that loads models, in about 0.2 s. A request that exceeds a limit ends the child,
and the next request starts another one. So a template that never ends, or a tokenizer that aborts its process, ends
neither a job nor the app.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bye_core.models import bounds

SCRIPT = Path(__file__).with_name("sandbox_child.py")
# The child's environment: what Python needs to start. Tokens and keys of the user stay out.
KEPT_VARIABLES = (
    "PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR",
    "LANG", "LC_ALL", "TZ",
)  # fmt: skip
# One thread, and one arena of memory: each thread reserves address space, which is limited.
ONE_THREAD = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}

# Exit codes of a child whose time was over: SIGKILL of the parent's clock, SIGPROF of its own.
ENDED_BY_CLOCK = (-9, -getattr(signal, "SIGPROF", 9))


class SandboxLimit(Exception):
    """A request exceeded a limit of the child process, or ended it."""


class SandboxError(Exception):
    """A request failed. `kind`: the name of the exception in the child process."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Sandbox:
    """A child process that carries out one request at a time. Threads share it; a forked process starts its own."""

    def __init__(self, most_bytes: int = bounds.CHILD_BYTES, seconds: float = bounds.CHILD_SECONDS) -> None:
        self._most_bytes, self._seconds = most_bytes, seconds
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self.starts = 0

    def render(self, source: str, values: dict[str, Any]) -> str:
        """Return a chat template rendered with `values`. Raises: SandboxLimit; SandboxError if the template fails."""
        most = bounds.PROMPT_CHARACTERS
        return self._call("render", bounds.TEMPLATE_SECONDS, source=source, values=values, most=most)

    def try_tokenizer(self, path: Path) -> int:
        """Load a tokenizer.json and encode texts. Returns the size of its vocabulary. Raises as `render` does."""
        limits = {"most": bounds.ADDED_TOKENS, "longest": bounds.TOKEN_CHARACTERS}
        return self._call("try_tokenizer", bounds.TOKENIZER_SECONDS, path=str(path), **limits)

    def use_tokenizer(
        self, digest: str, definition: Callable[[], str], texts: Sequence[str], ids: Sequence[int], split: bool
    ) -> None:
        """Encode texts and decode token ids with a tokenizer. Raises as `render` does.

        definition  returns the tokenizer as JSON; the child keeps the last one, whose `digest` tells whether to send it
        split       whether special tokens in the texts are split like other words
        """
        request = {"digest": digest, "texts": list(texts), "ids": list(ids), "split": split}
        if not self._call("use_tokenizer", bounds.TOKENIZER_SECONDS, **request):
            self._call("use_tokenizer", bounds.TOKENIZER_SECONDS, **request, definition=definition())

    def match(self, patterns: Sequence[str], names: Sequence[str]) -> list[list[int]]:
        """Return, for each pattern, the indices of the names that it matches as a whole. Raises as `render` does."""
        return self._call("match", bounds.PATTERN_SECONDS, patterns=list(patterns), names=list(names))

    def _call(self, task: str, seconds: float, **arguments: Any) -> Any:
        request = json.dumps({"task": task, "seconds": seconds, **arguments}).encode() + b"\n"
        with self._lock:
            child = self._running()
            assert child.stdin
            assert child.stdout
            clock = threading.Timer(self._seconds, child.kill)
            clock.start()
            try:
                child.stdin.write(request)
                child.stdin.flush()
                line = child.stdout.readline(bounds.REPLY_BYTES)
            except OSError:
                line = b""
            finally:
                clock.cancel()
            if not line.endswith(b"\n"):
                raise SandboxLimit(self._end(seconds))
        answer = json.loads(line)
        if answer.get("error") == "limit":
            raise SandboxLimit(f"{answer['reason']}.")
        if "error" in answer:
            raise SandboxError(answer["error"], answer["reason"])
        return answer["result"]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._owner != os.getpid() or self._child.poll() is not None:
            environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
            self._child = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(self._most_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**environment, **ONE_THREAD},
                start_new_session=True,
            )
            self._owner = os.getpid()
            self.starts += 1
        return self._child

    def _end(self, seconds: float) -> str:
        """End the child and return why it gave no answer."""
        child, self._child = self._child, None
        assert child
        assert child.stdin
        assert child.stdout
        with contextlib.suppress(OSError):  # unwritten bytes for a process that has ended
            child.stdin.close()
        if not _ends_alone(child):
            child.kill()
        code = child.wait()
        child.stdout.close()
        if code in ENDED_BY_CLOCK:
            return f"it took more than {seconds} seconds."
        return f"it ended its process (exit code {code}), or took more than {self._most_bytes >> 20} MB of memory."

    def close(self) -> None:
        """End the child process, if there is one."""
        with self._lock:
            if self._child is not None and self._owner == os.getpid():
                self._end(0)


def _ends_alone(child: subprocess.Popen[bytes]) -> bool:
    """Return whether the child ends within a second: its exit code tells why it gave no answer."""
    try:
        child.wait(1)
    except subprocess.TimeoutExpired:
        return False
    return True


SANDBOX = Sandbox()
atexit.register(SANDBOX.close)
