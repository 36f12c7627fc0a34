"""A scan to be killed: `killed_scan.py RUN COUNT SHARD_BYTES [POINT AFTER]`.

With POINT it kills itself there, with signal 9, on the call number AFTER: "half" in the middle of a write to a shard,
"written" between the shard and the index, "committing" inside the index's transaction.
"""

from __future__ import annotations

import os
import signal
import sys

from bye_core import files
from bye_core.runs import Run, index, shards
from tests.runs.made_rows import scan


def die_at(point: str, after: int) -> None:
    calls = iter(range(after, -1, -1))

    def wrap(module, name, before):
        original = getattr(module, name)

        def wrapped(*arguments):
            last = next(calls) == 0
            if last:
                before(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        setattr(module, name, wrapped)

    if point == "half":
        wrap(shards, "write_all", lambda descriptor, data: files.write_all(descriptor, data[: len(data) // 2]))
    elif point == "written":
        wrap(index, "transaction", lambda connection: None)
    else:
        wrap(index, "clear_fatal", lambda connection, samples: None)


if __name__ == "__main__":
    path, count, shard_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if len(sys.argv) > 4:
        die_at(sys.argv[4], int(sys.argv[5]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    scan(Run.open(path), 0, count, shard_bytes=shard_bytes)
