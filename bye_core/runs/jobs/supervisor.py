"""Supervises one job: a small process that leads the job's process group and keeps running if the app's server ends.

Runs as a script with only the standard library: `python -I -S supervisor.py FOLDER`. Reads one JSON line {"command",
"attempt", "nice", "seconds", "grace"} from standard input. If the server dies before it has recorded this process in
job.json, the pipe closes and the supervisor runs nothing: no job runs without a record.

    progress.jsonl     standard output of the command, appended
    log.txt            its standard error; beyond LOG_BYTES it replaces log.1.txt, so that the two files together
                       keep the newest lines in at most twice that size
    exit.json          written last: {"attempt", "exit", "asked", "late", "ended"}; a negative "exit" is the signal that
                       killed the command; "asked" is true if a stop was requested, "late" if the time was over

Forwards SIGTERM to the command and repeats it until the command ends. After "seconds" (null: no limit) it sends SIGTERM
itself, and "grace" seconds later it kills the command. Then kills what remains of the process group.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

PROGRESS, LOG, OLDER_LOG, EXIT = "progress.jsonl", "log.txt", "log.1.txt", "exit.json"
LOG_BYTES = 4 << 20
DRAIN_SECONDS = 2.0
REPEAT_SECONDS = 2.0  # between two SIGTERMs to a command that is to end (ours)


def keep_log(source: BinaryIO, folder: Path, limit: int = LOG_BYTES) -> None:
    """Copy `source` to the log. Discards what cannot be written: a full disk must not block the command."""
    while chunk := os.read(source.fileno(), 1 << 16):
        try:
            log = folder / LOG
            if log.exists() and log.stat().st_size + len(chunk) > limit:
                os.replace(log, folder / OLDER_LOG)
            with log.open("ab") as file:
                file.write(chunk)
        except OSError:
            continue


def write_exit(folder: Path, record: dict[str, Any]) -> None:
    # Not bye_core.files.write_atomic: this script uses only the standard library.
    part = folder / f".{EXIT}.part"
    with part.open("w", encoding="utf-8") as file:
        json.dump({**record, "ended": time.time()}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / EXIT)


class Supervisor:
    """Runs one command to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = False
        self.late = False
        self.child: subprocess.Popen | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.pass_on)

    def pass_on(self, *_: Any) -> None:
        self.asked = True
        if self.child:
            self.child.terminate()

    def run(self, command: list[str], seconds: float | None = None, grace: float = 0.0) -> int:
        # Nothing is written to its standard input: the pipe closes when this process ends, which ends the command.
        with (self.folder / PROGRESS).open("ab") as progress:
            self.child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=progress, stderr=subprocess.PIPE, bufsize=0
            )
        if self.asked:
            self.child.terminate()
        drain = threading.Thread(target=keep_log, args=(self.child.stderr, self.folder), daemon=True)
        drain.start()
        code = self._wait(self.child, seconds, grace)
        drain.join(DRAIN_SECONDS)
        return code

    def _wait(self, child: subprocess.Popen, seconds: float | None, grace: float) -> int:
        """Return the command's exit code. Once a stop is requested, send SIGTERM again every REPEAT_SECONDS.

        The wait has a timeout because only the main thread runs `pass_on`. If this process is paused when the signal
        arrives, the system may deliver it to the other thread, and a main thread inside waitpid would not wake up.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = REPEAT_SECONDS if deadline is None else deadline - time.monotonic()
            try:
                return child.wait(max(0.0, min(REPEAT_SECONDS, left)))
            except subprocess.TimeoutExpired:
                if deadline is not None and time.monotonic() >= deadline:
                    # A command in an endless loop answers no SIGTERM. It is killed when its time is over again.
                    if self.late:
                        child.kill()
                    self.late, deadline = True, time.monotonic() + grace
                if self.asked or self.late:
                    child.terminate()


def main(folder: Path) -> None:
    supervisor = Supervisor(folder)
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        return
    order = json.loads(line)
    if hasattr(os, "nice"):
        os.nice(order["nice"])
    try:
        code = supervisor.run(order["command"], order["seconds"], order["grace"])
        ended = {"exit": code, "asked": supervisor.asked, "late": supervisor.late}
        write_exit(folder, {"attempt": order["attempt"], **ended})
    finally:
        if hasattr(os, "killpg"):
            os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
