"""Starts a job's command under a supervisor process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bye_core.process import TETHER
from bye_core.runs.home import home
from bye_core.runs.jobs import supervisor as supervisor_script
from bye_core.runs.jobs.errors import BadPriority, CannotStart
from bye_core.runs.jobs.process import birth
from bye_core.runs.jobs.progress_log import begin_attempt
from bye_core.runs.jobs.record import Record, write_record

SUPERVISOR = Path(supervisor_script.__file__)
PACKAGE_ROOT = Path(__file__).resolve().parents[3]

GRACE_SECONDS = 20.0  # for a command whose time is over, to save its work (ours)
NICE_SETTING = "BYE_JOB_NICE"  # environment variable: how much a job's priority is lowered, 0 to 19
NICE = 5  # where it is not set: the page stays responsive while a scan uses all cores (ours)


def launch(folder: Path, record: Record, env: Mapping[str, str], seconds: float | None = None) -> None:
    """Start the next attempt of the job `record`. The command starts only after job.json is written.

    The supervisor ends the command after `seconds`.
    """
    nice = _nice()
    try:
        begins = begin_attempt(folder / supervisor_script.PROGRESS)
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISOR), str(folder.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=record.cwd,
            env=_environment(env),
        )
        # Wait for the exit code in a thread, so that no zombie process remains while this server runs.
        threading.Thread(target=supervisor.wait, name=f"job {folder.name}", daemon=True).start()
        attempt = record.attempt + 1
        born = birth(supervisor.pid)
        assert supervisor.stdin is not None  # for the type checker: it is a pipe
        with supervisor.stdin as orders:
            write_record(folder, replace(record, attempt=attempt, pid=supervisor.pid, born=born, begins=begins))
            command = [sys.executable, "-m", "bye_core", record.kind, *record.arguments, "--progress", "jsonl"]
            order = {"command": command, "attempt": attempt, "nice": nice, "seconds": seconds, "grace": GRACE_SECONDS}
            orders.write(json.dumps(order).encode("ascii") + b"\n")
    except OSError as error:
        raise CannotStart(path=folder, reason=error.strerror) from error


def _nice() -> int:
    """Return how much a job's priority is lowered. Raises: BadPriority if the setting is not a number from 0 to 19."""
    value = os.environ.get(NICE_SETTING) or str(NICE)
    if value not in map(str, range(20)):
        raise BadPriority(setting=NICE_SETTING, value=value)
    return int(value)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "BYE_HOME": str(home()), **more, TETHER: "1"}
