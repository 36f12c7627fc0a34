"""Large runs: the samples stay in their file, the index is an array, and what was read is not read again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from bye_core import sample_file
from bye_core.records import Decision, Detection
from bye_core.runs import Run, index, record_json, run, table
from bye_core.runs.errors import DamagedRun, DuplicateSamples
from bye_core.runs.record_json import detection_parts, load_detection
from bye_core.runs.store import Store
from bye_core.sample_file import SampleFile, SamplesChanged
from bye_core.sample_texts import Texts, numbered
from tests.runs.made_rows import make_rows, make_run, make_samples, make_settings, scan

COUNT = 12


@pytest.fixture
def parsed(monkeypatch):
    """Treat every run as a large one. Counts the samples that are made from their lines."""
    counts: Counter[str] = Counter()
    real = sample_file._content

    def counted(record):
        counts["samples"] += 1
        return real(record)

    monkeypatch.setattr(sample_file, "_content", counted)
    monkeypatch.setattr(run, "STAYS_ON_DISK", 0)
    return counts


def test_a_large_run_is_opened_without_making_its_samples(tmp_path, parsed):
    scan(make_run(tmp_path / "run", COUNT), 0, COUNT - 2)
    opened = Run.open(tmp_path / "run")
    opened.table()  # writes the cache, which holds where each text occurs first
    parsed.clear()
    opened = Run.open(tmp_path / "run")
    assert isinstance(opened.samples(), SampleFile)
    found = opened.table()
    assert (len(found.ids), opened.counts().total) == (COUNT - 2, COUNT)
    assert opened.table_positions().tolist() == list(range(COUNT - 2))
    assert parsed["samples"] == 0
    assert isinstance(found.answers, Texts)
    assert (found.answers[3], opened.sample("s4").answer) == ("it is 3", "it is 4")
    assert parsed["samples"] == 2
    for texts in (found.answers, found.questions):
        different, numbers = numbered(texts)
        assert [different[number] for number in numbers.tolist()] == list(texts)
        assert numbered(tuple(texts))[0] == different
    assert opened.samples() == tuple(make_samples(COUNT))


def test_the_table_of_a_large_run_is_that_of_a_small_one(tmp_path, request):
    samples = [sample_file.Sample(f"s{n}", n, make_samples(3)[n % 3].turns, ()) for n in range(COUNT)]
    Run.create(tmp_path / "run", make_settings(), samples)
    scan(Run.open(tmp_path / "run"), 2, COUNT)
    small = Run.open(tmp_path / "run").table()
    request.getfixturevalue("parsed")
    large = Run.open(tmp_path / "run").table()
    assert (large.ids, tuple(large.questions), tuple(large.answers)) == (small.ids, small.questions, small.answers)
    assert (large.entropy == small.entropy).all()
    assert large.answers.first_rows.tolist() == [0, 1, 2] * 3 + [0]
    assert large.answers[1:3] == small.answers[1:3]


def test_a_large_list_of_samples_is_checked(tmp_path, parsed):
    path = make_run(tmp_path / "run", COUNT).path
    opened = Run.open(path)
    assert len(opened.samples()) == COUNT
    lines = (path / "samples.jsonl").read_bytes()
    (path / "samples.jsonl").write_bytes(lines.replace(b"it is 5", b"it is 6"))
    with pytest.raises(DamagedRun):
        Run.open(path).samples()
    (path / "samples.jsonl").write_bytes(lines + b"half a line")
    with pytest.raises(DamagedRun):
        Run.open(path).samples()
    with pytest.raises(SamplesChanged):
        opened.sample("s3")
    opened.check(make_settings(), make_samples(COUNT))  # restores it
    assert Run.open(path).sample("s3").answer == "it is 3"
    with pytest.raises(DuplicateSamples):
        Run.create(tmp_path / "twice", make_settings(), make_samples(2) * 2)


def test_a_run_of_the_samples_of_a_large_run(tmp_path, parsed):
    samples = make_run(tmp_path / "run", COUNT).samples()
    parsed.clear()
    copy = Run.create(tmp_path / "copy", make_settings(), samples)
    assert (copy.path / "samples.jsonl").read_bytes() == (tmp_path / "run" / "samples.jsonl").read_bytes()
    assert Run.prepare(tmp_path / "copy", make_settings(), samples).samples() == samples
    assert parsed["samples"] <= 2 * COUNT  # the comparison


def test_the_index_is_read_only_if_the_scan_has_changed(tmp_path, monkeypatch):
    scan(make_run(tmp_path / "run", COUNT), 0, 8)
    opened, read = Run.open(tmp_path / "run"), Counter()
    opened.table()
    real = index.entries

    def counted(*arguments):
        read["entries"] += 1
        return real(*arguments)

    monkeypatch.setattr(index, "entries", counted)
    assert len(opened.table().ids) == len(Run.open(tmp_path / "run").table().ids) == 8
    assert read["entries"] == 0
    scan(Run.open(tmp_path / "run"), 0, COUNT)
    assert len(opened.table().ids) == COUNT


@pytest.mark.parametrize("value", ["'x'", "2.5", "-1"])
def test_entries_are_whole_numbers(tmp_path, value):
    scan(make_run(tmp_path / "run", COUNT), 0, COUNT)
    with index.reading(tmp_path / "run/index.sqlite") as connection:
        found = index.entries(connection)
        assert found[3].position == found[2:][1].position == 3
        connection.execute("BEGIN")
        connection.execute(f"UPDATE scored SET length = {value} WHERE position = 3")
        with pytest.raises(index.sqlite3.DatabaseError, match="malformed"):
            index.entries(connection)


def test_a_detection_is_written_in_parts(monkeypatch):
    monkeypatch.setattr(record_json, "AT_ONCE", 2)
    values = np.array([0.1, np.nan, np.inf, -np.inf, 1 / 3])
    ids = ("a", "\ud800", '"', "b, c", "5")
    found = Detection(
        "bye", {"tau": 2.0}, "poisoned", ids, np.arange(5.0), np.arange(5) % 2 == 0, values, (), ("a reason",)
    )
    parts = list(detection_parts(found))
    again = load_detection(b"".join(parts))
    assert (again.ids, again.scores.tolist(), again.flagged.tolist()) == (
        ids,
        [0, 1, 2, 3, 4],
        [True, False] * 2 + [True],
    )
    assert np.array_equal(again.values, values, equal_nan=True)
    assert max(map(len, parts)) < 100


def test_decisions_that_were_read_are_not_parsed_again(tmp_path, monkeypatch):
    opened, parsed = make_run(tmp_path / "run", COUNT), []
    file = opened._decisions
    real = file._parse
    monkeypatch.setattr(file, "_parse", lambda number, text: parsed.append(number) or real(number, text))
    for number in range(4):
        opened.decide([Decision(f"s{number}", "reject")])
    assert len(opened.decisions()) == 4
    assert parsed == [1, 2, 3, 4]
    opened.undo()
    assert len(opened.decisions()) == 3
    assert parsed == [1, 2, 3, 4, 5]
    path = tmp_path / "run/decisions.jsonl"
    path.write_bytes(path.read_bytes().split(b"\n")[1] + b"\n")
    assert opened.decisions().keys() == {"s1"}


def test_the_statistics_keep_their_rows_when_samples_are_added(tmp_path):
    opened = make_run(tmp_path / "run", COUNT)
    scan(opened, 4, 8)
    opened.table()
    reads: list[int] = []
    real = Store._read

    def counted(store, entries):
        reads.append(len(entries))
        return real(store, entries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_read", counted)
        scan(opened, 0, COUNT)
        found = opened.table()
    assert sum(reads) == COUNT - 4
    for row in range(COUNT):
        assert (found.entropy[row] == make_rows(row).entropy).all()
    assert table.load_stack(opened.path / "statistics").state == (3, COUNT)


@pytest.mark.parametrize("view", ["whole", "read-only view", "part"])
def test_few_rows_of_a_mapped_file_are_its_rows(tmp_path, view):
    values = np.arange(6000, dtype=np.float32).reshape(1000, 3, 2)
    values.tofile(tmp_path / "values")
    mapped = np.memmap(tmp_path / "values", np.float32, "r", shape=values.shape)
    found = {"whole": mapped, "read-only view": mapped.view(np.ndarray), "part": mapped[:, 1:]}[view]
    rows = np.array([0, 7, 999, 7])
    expected = (values[:, 1:] if view == "part" else values)[rows]
    assert table.few_rows(found, rows).tolist() == expected.tolist()
    assert table.few_rows(np.array(found), rows).tolist() == expected.tolist()
    assert found[500].tolist() == np.array(found)[500].tolist(), "the file stays open"
