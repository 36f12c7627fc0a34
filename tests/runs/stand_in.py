"""Stands in for `python -m bye_core` in tests of jobs: `KIND [FILE] --progress jsonl`, quick to start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

asked = []


def say(**value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def step(done, total=1000, **facts):
    say(time=time.time(), stage="count", done=done, total=total, message="", facts=facts)


def write(file, text):
    """It may be killed at any time, and goes on from what it wrote."""
    Path(file + ".part").write_text(text)
    os.replace(file + ".part", file)


def count(file, total=1_000_000):
    """Goes on where FILE says that it stopped."""
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    done = int(Path(file).read_text()) if os.path.exists(file) else 0
    while done < total:
        done += 1
        write(file, str(done))
        step(done, total, loss=1 / done)
        if asked:
            say(stopped=True)
            return 143
        time.sleep(0.01)
    say(result={"counted": total})
    return 0


def inattentive(file):
    """Loses the first SIGTERM, starts to save at the second, and has not saved before the third."""
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    step(1)
    while len(asked) < 3:
        time.sleep(0.01)
    write(file, "saved")
    say(stopped=True)
    return 143


def deaf(file):
    """Hears no SIGTERM, and has a child in a session of its own that hears none either."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    write(file, f"{os.getpid()} {child.pid}")
    step(1)
    time.sleep(600)
    return 0


def dies(file):
    step(1)
    os.kill(os.getpid(), int(file))


def fails():
    step(1)
    say(error={"kind": "BadThing", "problem": "It is bad.", "remedy": "Make it good."})
    return 1


def crashes():
    sys.stderr.write("loading 1%\rloading 100%\n")
    raise ValueError("no such luck")


def orphan(file):
    """Ends while a process that it started is still at work."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    write(file, str(child.pid))
    say(result={})
    return 0


def noise():
    for number in range(20):
        os.write(2, b"%019d\n" % number * 50_000)
    say(result={})
    return 0


def tells():
    say(result={"home": os.environ["BYE_HOME"], "extra": os.environ.get("EXTRA"), "nice": os.nice(0)})
    return 0


def quick(file, total=20):
    return count(file, int(total))


if __name__ == "__main__":
    kind, *rest = sys.argv[1:-2]
    assert sys.argv[-2:] == ["--progress", "jsonl"]
    sys.exit(globals()[kind](*rest))
