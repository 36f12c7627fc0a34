"""What disks do to a run: short and flipped shards, a full disk, a read-only folder, a broken index."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bye_core.errors import RunError
from bye_core.runs import Run, table
from bye_core.runs.errors import DamagedRun, DamagedSample, NotScanned, RunBusy, RunNotWritable
from bye_core.runs.payload import encode
from bye_core.runs.store import INDEX, SHARDS, STATISTICS
from tests.runs.made_rows import make_rows, make_run, make_samples, make_settings, scan


def shard(run, number=0):
    return run.path / SHARDS / f"{number:05d}.bin"


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def place_of(run, position):
    connection = sqlite3.connect(run.path / INDEX)
    found = connection.execute("SELECT offset, length FROM scored WHERE position = ?", (position,)).fetchone()
    connection.close()
    return found


def test_flipped_bit_is_found_dropped_and_scanned_again(tmp_path):
    run, sound = make_run(tmp_path / "run", 10, 10), make_run(tmp_path / "sound", 10, 10)
    offset, length = place_of(run, 5)
    flip(shard(run), offset + length - 1)
    with pytest.raises(DamagedSample, match="'s5'"):
        run.rows("s5")
    assert run.damaged() == ("s5",)
    assert run.scored_ids() == {f"s{n}" for n in range(10)} - {"s5"}
    with pytest.raises(NotScanned):
        run.rows("s5")
    scan(run, 0, 10)
    assert run.damaged() == ()
    assert encode(run.rows("s5")) == encode(make_rows(5))
    assert run.table().ids == sound.table().ids
    assert run.table().entropy.tobytes() == sound.table().entropy.tobytes()


def test_table_leaves_damaged_samples_out_and_lists_them(tmp_path):
    run = make_run(tmp_path / "run", 10, 10)
    flip(shard(run), place_of(run, 2)[0] + 30)
    assert run.table().ids == tuple(f"s{n}" for n in range(10) if n != 2)
    assert run.damaged() == ("s2",)


def test_verify_reads_everything(tmp_path):
    run = make_run(tmp_path / "run", 10, 10)
    run.table()
    for position in (0, 9):
        flip(shard(run), place_of(run, position)[0])
    assert run.verify() == ("s0", "s9")
    assert run.counts().scored == 8


@pytest.mark.parametrize("cut", [1, 700, None])
def test_truncated_or_missing_shard_loses_only_what_it_held(tmp_path, cut):
    run = make_run(tmp_path / "run", 12)
    scan(run, 0, 12, shard_bytes=2000)
    assert shard(run, 1).exists()
    if cut is None:
        shard(run, 1).unlink()
    else:
        os.truncate(shard(run, 1), shard(run, 1).stat().st_size - cut)
    with run.writing():
        lost = run.damaged()
    assert 0 < len(lost) <= 8
    scan(run, 0, 12, shard_bytes=2000)
    assert run.damaged() == ()
    assert [encode(run.rows(f"s{n}")) for n in range(12)] == [encode(make_rows(n)) for n in range(12)]


def test_leftovers_behind_the_last_commit_are_cut_off(tmp_path):
    run = make_run(tmp_path / "run", 10, 4)
    size = shard(run).stat().st_size
    with shard(run).open("ab") as file:
        file.write(b"BYE1 half a frame")
    shard(run, 1).write_bytes(b"a shard that nothing was committed to")
    with run.writing():
        pass
    assert shard(run).stat().st_size == size
    assert not shard(run, 1).exists()


@pytest.mark.parametrize("how", ["missing", "garbage", "empty"])
def test_index_is_built_again_from_the_shards(tmp_path, how):
    run = make_run(tmp_path / "run", 10, 10)
    before = run.table()
    if how == "missing":
        (run.path / INDEX).unlink()
    else:
        (run.path / INDEX).write_bytes(b"no database at all" * 100 if how == "garbage" else b"")
    again = Run.open(run.path)
    with pytest.raises(DamagedRun, match=r"index\.sqlite"):
        again.scored_ids()
    with again.writing():
        pass
    assert again.table().ids == before.ids
    assert again.table().mass.tobytes() == before.mass.tobytes()


@pytest.mark.parametrize("name", ["entropy", "keys.npy", "facts.json"])
def test_damaged_statistics_are_made_again(tmp_path, name):
    run = make_run(tmp_path / "run", 10, 10)
    before = run.table()
    damages = [lambda file: file.write_bytes(b""), lambda file: os.truncate(file, 50), Path.unlink]
    damages += [lambda file: flip(file, 100)] if name == "entropy" else [lambda file: file.write_bytes(b"null")]
    for damage in damages:
        (file,) = (run.path / STATISTICS).glob(f"*/{name}")
        damage(file)
        assert Run.open(run.path).table().entropy.tobytes() == before.entropy.tobytes()
        whole = [path for path in (run.path / STATISTICS).iterdir() if (path / "facts.json").is_file()]
        assert len(whole) == 1, "the damaged ones are gone"
        for other in set((run.path / STATISTICS).iterdir()) - set(whole):
            shutil.rmtree(other)


def test_statistics_of_a_killed_process_are_cleared_away_in_time(tmp_path):
    run = make_run(tmp_path / "run", 10, 4)
    (run.path / STATISTICS / "young").mkdir(parents=True)
    (run.path / STATISTICS / "old").mkdir()
    os.utime(run.path / STATISTICS / "old", (1, 1))
    run.table()
    names = {path.name for path in (run.path / STATISTICS).iterdir()}
    assert "young" in names
    assert len(names) == 2


def test_many_who_stack_at_once_all_get_the_table_and_one_state_stays(tmp_path):
    run = make_run(tmp_path / "run", 10, 10)
    whole = run.table().mass.tobytes()

    def stack(number):
        shutil.rmtree(run.path / STATISTICS, ignore_errors=True) if number % 8 == 0 else None
        return Run.open(run.path).table().mass.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(stack, range(80))) == {whole}
    Run.open(run.path).table()
    assert table.load_stack(run.path / STATISTICS) is not None


def test_statistics_that_cannot_be_written_are_held_in_memory(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", 10, 10)

    def full(folder, blocks, state, samples):
        next(iter(blocks))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(table, "_write", full)
    held = run.table()
    assert list((run.path / STATISTICS).iterdir()) == []
    monkeypatch.undo()
    assert held.mass.tobytes() == Run.open(run.path).table().mass.tobytes()


@pytest.mark.parametrize(("at_once", "mapped_from"), [(1, 0), (3, 2**30), (1024, 0)])
def test_statistics_are_copied_in_parts_and_without_what_is_damaged(tmp_path, monkeypatch, at_once, mapped_from):
    monkeypatch.setattr(table, "BLOCK", at_once)
    monkeypatch.setattr(table, "MAPPED_FROM", mapped_from)
    run = make_run(tmp_path / "run", 10, 4)
    run.table()
    with run.writing():
        run.append([make_rows(n) for n in range(4, 8)])
    flip(shard(run), sum(place_of(run, 7)) - 20)
    again = Run.open(run.path)
    for one in (again.table(), again.table(), Run.open(run.path).table()):
        assert one.ids == tuple(f"s{n}" for n in range(7))
        assert (not one.peak.flags.owndata) == (mapped_from == 0)
        np.testing.assert_array_equal(one.peak, np.stack([make_rows(n).peak for n in range(7)]))


def test_full_disk_while_writing_a_shard(tmp_path, monkeypatch):
    run, write, taken = make_run(tmp_path / "run", 10, 4), os.write, []
    size = shard(run).stat().st_size

    def full(descriptor, data):
        if sum(taken) > 300:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken.append(write(descriptor, bytes(data[:200])))
        return taken[-1]

    with run.writing():
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(RunNotWritable, match="No space left"):
                run.append([make_rows(n) for n in range(4, 8)])
        assert shard(run).stat().st_size == size
        assert run.table().ids == ("s0", "s1", "s2", "s3")
        # Space was made: the same writer goes on.
        run.append([make_rows(n) for n in range(4, 8)])
    assert run.verify() == ()
    assert encode(run.rows("s7")) == encode(make_rows(7))


@pytest.mark.parametrize("error", [KeyboardInterrupt, sqlite3.OperationalError("database or disk is full")])
def test_interrupted_commit_is_rolled_back(tmp_path, monkeypatch, error):
    run = make_run(tmp_path / "run", 10, 4)

    def interrupt(*_):
        raise error

    with run.writing():
        with monkeypatch.context() as patch:
            patch.setattr("bye_core.runs.index.add_faults", interrupt)
            with pytest.raises((KeyboardInterrupt, RunNotWritable)):
                run.append([make_rows(n) for n in range(4, 8)])
        assert run.scored_ids() == {"s0", "s1", "s2", "s3"}
        run.append([make_rows(n) for n in range(4, 8)])
    assert run.verify() == ()
    assert run.table().ids == tuple(f"s{n}" for n in range(8))


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], capture_output=True)
    if done.returncode:
        pytest.skip("cannot mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_really_full(small_disk):
    run = make_run(small_disk / "run", 1000)
    with pytest.raises(RunNotWritable):
        scan(run, 0, 1000)
    scored = run.scored_ids()
    assert 0 < len(scored) < 1000
    assert len(run.table().ids) == len(scored)
    assert run.verify() == ()


def test_a_disk_that_was_made_read_only_after_a_kill(small_disk):
    run = make_run(small_disk / "run", 10, 4)
    crashed = sqlite3.connect(run.path / INDEX, isolation_level=None)
    crashed.execute("INSERT INTO damaged VALUES (9)")
    # The log of a writer that did not get to close it.
    copies = {name: (run.path / name).read_bytes() for name in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm")}
    crashed.close()
    for name, content in copies.items():
        (run.path / name).write_bytes(content)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert run.damaged() == ("s9",)
    assert run.table().ids == ("s0", "s1", "s2", "s3")
    with pytest.raises(RunNotWritable, match="Read-only"), run.writing():
        pass


def test_read_only_folder_is_read_as_ever_and_written_with_a_clear_error(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", 10, 4)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    opened = os.open

    def refuse(path, flags, *rest, **more):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    flip(shard(run), place_of(run, 1)[0])
    assert run.table().ids == ("s0", "s2", "s3")
    with pytest.raises(RunNotWritable, match="Permission denied"), run.writing():
        pass
    with pytest.raises(RunNotWritable):
        Run.create(tmp_path / "other", make_settings(), make_samples(1))


def test_locked_database_is_said_to_be_busy(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", 10, 4)
    monkeypatch.setattr("bye_core.runs.index.BUSY_SECONDS", 0.05)
    other = sqlite3.connect(run.path / INDEX, isolation_level=None)
    with run.writing():
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunBusy):
            run.append([make_rows(4)])
        assert run.table().ids == ("s0", "s1", "s2", "s3")
        other.execute("ROLLBACK")
        assert run.append([make_rows(4)]) == ("s4",)
    other.close()


def test_an_error_of_the_caller_passes_through_writing(tmp_path):
    run = make_run(tmp_path / "run", 10)
    with pytest.raises(FileNotFoundError), run.writing():
        raise FileNotFoundError("a picture")
    with pytest.raises(sqlite3.OperationalError), run.writing():
        raise sqlite3.OperationalError("another database")


@pytest.mark.parametrize("file", ["run.json", "samples.jsonl"])
def test_damaged_run_files_are_named(tmp_path, file):
    path = make_run(tmp_path / "run", 3).path
    data = (path / file).read_bytes()
    (path / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(RunError, match=file):
        Run.open(path).samples()


def test_nan_rows_and_no_image_tokens_are_kept(tmp_path):
    run = make_run(tmp_path / "run", 2)
    empty = make_rows(0)
    empty = type(empty)(**{**vars(empty), "rows": np.empty((3, 0), np.float16), "grids": ()})
    empty.layer_entropy[:] = np.nan
    with run.writing():
        run.append([empty])
    back = run.rows("s0")
    assert back.rows.shape == (3, 0)
    assert np.isnan(run.table().layer_entropy).all()
