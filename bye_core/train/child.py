"""Runs a training in a child process: a crash or an out-of-memory kill does not end the caller."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bye_core.errors import ByeError
from bye_core.process import TETHER

TAIL = 2000
END_SECONDS = 15.0  # seconds; longer than a training takes to reach its next step and save a checkpoint (BATCH_SECONDS)


class TrainingFailed(ByeError):
    problem = "The training process ended with exit code {code}: {last}"
    remedy = "Read the full output of the process in {log}, and remove the cause."


def run_child(arguments: Sequence[str], progress: Path, log: Path) -> Iterator[dict[str, Any]]:
    """Run `python -m bye_core ARGUMENTS` in a child process and yield the JSON lines that it appends to `progress`.

    The child leads its own process group. It ends if this generator is closed or interrupted. It also ends if the
    process that calls this function dies, because that closes the child's standard input.
    Raises: TrainingFailed, with the error that the child reported, if the child's exit code is not 0.
    """
    progress.parent.mkdir(parents=True, exist_ok=True)
    progress.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bye_core", *arguments]
    package_root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    with log.open("w", encoding="utf-8") as output:
        child = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path, TETHER: "1"},
        )
    try:
        yield from _follow(child, progress)
    finally:
        _end(child)
    if child.returncode:
        raise TrainingFailed(code=child.returncode, last=_last_words(log), log=log)


def _end(child: subprocess.Popen) -> None:
    """Ask the child to end; kill its process group if it does not."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL) if hasattr(os, "killpg") else child.kill()
            child.wait()
    if child.stdin:
        child.stdin.close()


def _last_words(log: Path) -> str:
    """Return the error that the child reported, or otherwise its last line of output."""
    text = log.read_text(encoding="utf-8", errors="replace")[-TAIL:].strip()
    if "error: " in text:
        return " ".join(text.rpartition("error: ")[2].splitlines())
    return text.splitlines()[-1] if text else "no output"


def _follow(child: subprocess.Popen, progress: Path) -> Iterator[dict[str, Any]]:
    position = 0
    while True:
        ended = child.poll() is not None
        if progress.exists():
            with progress.open("rb") as file:
                file.seek(position)
                while (line := file.readline()).endswith(b"\n"):
                    position += len(line)
                    yield json.loads(line)
        if ended:
            return
        time.sleep(0.2)
