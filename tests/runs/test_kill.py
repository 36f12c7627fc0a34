"""kill -9 at any point, then a rerun: the same run as one that was never interrupted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import bye_core
from bye_core.runs import Run, store
from bye_core.runs.payload import encode
from bye_core.runs.table import DTYPES
from tests.runs.made_rows import make_run, scan

COUNT, SHARD = 240, 40_000
HERE = Path(__file__).parent


def start(run: Run, *point: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(Path(bye_core.__file__).parents[1])}
    command = [sys.executable, str(HERE / "killed_scan.py"), str(run.path), str(COUNT), str(SHARD), *point]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Run:
    run = make_run(tmp_path_factory.mktemp("whole"), COUNT)
    scan(run, 0, COUNT, shard_bytes=SHARD)
    return run


def assert_equal_runs(run: Run, whole: Run) -> None:
    table, expected = run.table(), whole.table()
    assert table.ids == expected.ids
    for name in DTYPES:
        assert getattr(table, name).tobytes() == getattr(expected, name).tobytes()
    for id in expected.ids[:: COUNT // 40]:
        assert encode(run.rows(id)) == encode(whole.rows(id))
    assert run.verify() == ()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_at_random_times(tmp_path, whole):
    run, rng, kills = make_run(tmp_path / "run", COUNT), random.Random(0), 0
    while len(run.scored_ids()) < COUNT and kills < 6:
        child = start(run)
        time.sleep(rng.uniform(0.01, 0.12))
        child.kill()
        child.communicate()
        kills += 1
        # A reader that comes before the next writer sees whole batches only.
        assert len(run.table().ids) == len(run.scored_ids())
        assert len(run.scored_ids()) % 4 == 0
    scan(run, 0, COUNT, shard_bytes=SHARD)
    assert_equal_runs(run, whole)
    assert [path.read_bytes() for path in sorted((run.path / store.SHARDS).iterdir())] == [
        path.read_bytes() for path in sorted((whole.path / store.SHARDS).iterdir())
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize(("point", "after"), [("half", 0), ("half", 7), ("written", 3), ("committing", 5)])
def test_killed_at_the_worst_moments(tmp_path, whole, point, after):
    run = make_run(tmp_path / "run", COUNT)
    child = start(run, point, str(after))
    child.communicate()
    assert child.returncode == -9
    assert len(run.scored_ids()) % 4 == 0
    scan(run, 0, COUNT, shard_bytes=SHARD)
    assert_equal_runs(run, whole)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_lock_of_a_killed_writer_blocks_nobody_that_of_a_live_one_does(tmp_path):
    run = make_run(tmp_path / "run", COUNT)
    child = start(run)
    deadline = time.monotonic() + 10
    while not run.scored_ids() and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGSTOP)  # Alive, and still the writer.
    try:
        with pytest.raises(store.RunError, match=f"process {child.pid} on"), run.writing():
            raise AssertionError("two writers")
        assert np.isfinite(run.table().layer_entropy).all()
    finally:
        child.kill()
        child.communicate()
    with run.writing():
        pass
