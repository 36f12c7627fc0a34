"""A full disk, or a damaged shard, stops neither detection nor report nor export, and is named."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bye_core import pipeline
from bye_core.records import Decision
from bye_core.runs import Run, RunNotWritable
from bye_core.runs.store import INDEX_FILES
from tests import made_run


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if done.returncode:
        pytest.skip("cannot mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@pytest.mark.parametrize("what", ["full", "read-only"])
def test_a_disk_that_cannot_be_written_is_read_on(disk: Path, tmp_path: Path, what: str) -> None:
    path = made_run.make_run(disk, samples=40, rate=0.25)
    pipeline.detect_run(path, "bye", bsi="paper")
    run = Run.open(path)
    run.decide([Decision("s00001", "reject")])
    before, flagged = run.table(), run.detection().flagged_ids
    with run.writing():
        log = {name: (path / name).read_bytes() for name in INDEX_FILES if (path / name).exists()}
    for name, content in log.items():  # of a writer that was killed
        (path / name).write_bytes(content)
    (path / INDEX_FILES[2]).unlink(missing_ok=True)
    if what == "full":
        fill(disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    again = Run.open(path)
    assert again.table().entropy.tobytes() == before.entropy.tobytes()
    assert (again.counts().scored, again.decisions().keys(), again.verify()) == (40, {"s00001"}, ())
    detection = pipeline.detect_run(path, "bye", bsi="paper")
    assert detection.flagged_ids == flagged
    assert [one.kind for one in detection.limitations if one.kind == "not_saved"] == ["not_saved"]
    manifest = pipeline.export_run(path, tmp_path / "clean")
    assert manifest["counts"]["removed"] == 1
    assert pipeline.report(path, tmp_path / "report.html")
    saved = ["s00001"]
    with pytest.raises(RunNotWritable):
        decide_all(again, saved)
    assert list(Run.open(path).decisions()) == saved


def decide_all(run: Run, saved: list[str]) -> None:
    for number in range(2, 40):  # the last block of the file may have room
        run.decide([Decision(f"s{number:05d}", "reject", note="x" * 500)])
        saved.append(f"s{number:05d}")


def test_detect_names_the_samples_of_a_flipped_shard(tmp_path: Path) -> None:
    path = made_run.make_run(tmp_path, samples=20)
    pipeline.detect_run(path, "bye", bsi="paper")
    shard = path / "shards" / "00000.bin"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2 + 100] ^= 4
    shard.write_bytes(data)
    detection = pipeline.detect_run(path, "bye", bsi="paper")
    (damage,) = (one for one in detection.limitations if one.kind == "damaged_rows")
    (id,) = Run.open(path).damaged()
    assert damage.reason == f"The stored rows of 1 sample failed their checksum and were left out: {id}."
    assert id not in detection.ids


def test_a_scan_marks_the_samples_of_a_flipped_shard_as_missing(tmp_path: Path) -> None:
    path = made_run.make_run(tmp_path, samples=20)
    shard = path / "shards" / "00000.bin"
    data = bytearray(shard.read_bytes())
    data[-7] ^= 1
    shard.write_bytes(data)
    run = Run.open(path)
    with run.writing():
        assert run.damaged() == ("s00019",)
        assert run.counts().scored == 19
