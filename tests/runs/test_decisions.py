"""Decisions: never lost, undone batch by batch, whole or not at all."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from bye_core.records import Decision
from bye_core.runs import Run
from bye_core.runs.errors import DamagedRun, NotText, RunNotWritable, UnknownChoice, UnknownSample
from tests.runs.made_rows import make_run


def choices(run: Run) -> dict[str, str]:
    return {id: decision.choice for id, decision in Run.open(run.path).decisions().items()}


@pytest.fixture
def run(tmp_path) -> Run:
    return make_run(tmp_path / "run", 10)


def test_the_last_word_counts_and_none_withdraws(run):
    assert run.decisions() == {}
    run.decide([Decision("s1", "reject", "ada", "black square"), Decision("s2", "reject")])
    run.decide([Decision("s2", "accept"), Decision("s3", "reject")])
    run.decide([Decision("s3", "none")])
    assert choices(run) == {"s1": "reject", "s2": "accept"}
    kept = run.decisions()["s1"]
    assert (kept.reviewer, kept.note, kept.batch) == ("ada", "black square", "000001")
    assert kept.time.endswith("+00:00")


def test_undo_walks_back_batch_by_batch(run):
    first = run.decide([Decision("s1", "reject"), Decision("s2", "reject")])
    second = run.decide([Decision("s1", "accept")])
    withdrawn = run.undo()
    assert (withdrawn.id, [d.id for d in withdrawn.decisions]) == (second, ["s1"])
    assert choices(run) == {"s1": "reject", "s2": "reject"}
    third = run.decide([Decision("s3", "reject")])
    assert len({first, second, third}) == 3
    assert run.undo().id == third
    assert run.undo().id == first
    assert run.undo() is None
    assert choices(run) == {}


def test_a_named_batch_is_undone_and_later_ones_stand(run):
    first = run.decide([Decision("s1", "reject"), Decision("s2", "reject")])
    second = run.decide([Decision("s2", "accept")])
    assert [batch.id for batch in run.batches()] == [first, second]
    assert run.undo(first).id == first
    assert run.undo(first) is None
    assert [batch.id for batch in run.batches()] == [second]
    assert choices(run) == {"s2": "accept"}


def test_undo_of_a_withdrawal_brings_the_decision_back(run):
    run.decide([Decision("s1", "reject")])
    run.decide([Decision("s1", "none")])
    run.undo()
    assert choices(run) == {"s1": "reject"}


def test_the_history_names_who_undid_a_batch_and_undos_without_a_name_stay_valid(run):
    ids = [run.decide([Decision(f"s{number}", "reject", "ada")]) for number in range(1, 4)]
    run.undo(ids[0], "eve")
    run.undo(ids[1])  # as earlier versions wrote it
    by = [undo and undo.reviewer for _, undo in Run.open(run.path).history()]
    assert by == ["eve", "", None]
    with pytest.raises(NotText):
        run.undo(ids[2], 7)
    assert choices(run) == {"s3": "reject"}


def test_nothing_is_taken_out_of_the_file(run):
    run.decide([Decision("s1", "reject")])
    before = (run.path / "decisions.jsonl").read_bytes()
    run.undo()
    assert (run.path / "decisions.jsonl").read_bytes().startswith(before)


def test_bad_decisions_write_nothing(run):
    with pytest.raises(UnknownSample, match="'s77'"):
        run.decide([Decision("s1", "reject"), Decision("s77", "reject")])
    with pytest.raises(UnknownChoice, match="accept, reject, none"):
        run.decide([Decision("s1", "reject"), Decision("s2", "delete")])
    assert run.decide([]) == ""
    assert choices(run) == {}


def test_torn_last_line_is_ignored_and_cut_on_the_next_write(run):
    run.decide([Decision("s1", "reject")])
    run.decide([Decision("s2", "reject"), Decision("s3", "reject")])
    file = run.path / "decisions.jsonl"
    whole = file.read_bytes()
    start = whole.index(b"\n") + 1
    for end in range(start, len(whole), 9):
        file.write_bytes(whole[:end])
        assert choices(run) == {"s1": "reject"}
    run.decide([Decision("s4", "accept")])
    assert choices(run) == {"s1": "reject", "s4": "accept"}
    assert file.read_bytes().count(b"\n") == 2


def test_a_damaged_line_is_named_not_skipped(run):
    for number in range(3):
        run.decide([Decision(f"s{number}", "reject")])
    file = run.path / "decisions.jsonl"
    lines = file.read_bytes().split(b"\n")
    lines[1] = lines[1][:20] + b"\xff" + lines[1][21:]
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(DamagedRun, match="line 2"):
        run.decisions()


def test_full_disk_keeps_the_earlier_decisions(run, monkeypatch):
    run.decide([Decision("s1", "reject")])
    write = os.write

    def full(descriptor, data):
        if b"decisions" in bytes(data):
            write(descriptor, bytes(data[:10]))
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(RunNotWritable, match="No space left"):
            run.decide([Decision("s2", "reject")])
    assert choices(run) == {"s1": "reject"}
    run.decide([Decision("s2", "reject")])
    assert choices(run) == {"s1": "reject", "s2": "reject"}


def test_two_windows_deciding_at_once_lose_nothing(run):
    def decide(number):
        for _ in range(10):
            Run.open(run.path).decide([Decision(f"s{number}", "reject")])

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert choices(run) == {"s0": "reject", "s1": "reject", "s2": "reject"}
    assert (run.path / "decisions.jsonl").read_bytes().count(b"\n") == 30
    assert len({run.undo().id for _ in range(30)}) == 30


def test_deciding_goes_on_during_a_scan(run):
    with run.writing():
        Run.open(run.path).decide([Decision("s1", "reject")])
    assert choices(run) == {"s1": "reject"}
