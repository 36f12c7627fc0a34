"""A run's contract: create, resume, append, read back."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bye_core.records import AttentionRows, Detection, Fault, LayerReport, Mixture, Sample, Turn
from bye_core.runs import Run, home, index, is_run, list_runs, new_run_path
from bye_core.runs.errors import (
    DuplicateSamples,
    FolderNotEmpty,
    NotARun,
    NotScanned,
    NotWriting,
    RunBusy,
    RunExists,
    RunMismatch,
    ShapeMismatch,
    UnknownSample,
)
from bye_core.runs.payload import decode, encode
from bye_core.runs.shards import Location
from tests.runs.made_rows import LAYERS, make_rows, make_run, make_samples, make_settings, scan


def assert_same_rows(left: AttentionRows, right: AttentionRows) -> None:
    for name, value in vars(left).items():
        if isinstance(value, np.ndarray):
            assert value.dtype == getattr(right, name).dtype
            np.testing.assert_array_equal(value, getattr(right, name))
        else:
            assert value == getattr(right, name)


def test_payload_round_trip_is_exact_and_the_same_bytes():
    rows = make_rows(7)
    assert_same_rows(decode(encode(rows)), rows)
    assert encode(decode(encode(rows))) == encode(rows)


def test_payload_keeps_heads_in_float32_and_rows_in_float16():
    rows = make_rows(1)
    wide = replace(rows, entropy=rows.entropy.astype(np.float64), rows=rows.rows.astype(np.float32))
    assert encode(wide) == encode(rows)


def test_a_run_gives_back_what_it_was_given(tmp_path):
    run = make_run(tmp_path / "run", 10, 10)
    again = Run.open(tmp_path / "run")
    assert again.samples() == tuple(make_samples(10))
    assert again.sample("s3").question == "what is 3?"
    assert_same_rows(again.rows("s3"), make_rows(3))
    assert again.settings == run.settings
    assert again.settings.created
    assert again.settings.versions["numpy"] == np.__version__
    assert again.counts() == (10, 0, 10)


def test_table_is_in_data_set_order_whatever_the_order_of_appending(tmp_path):
    run = make_run(tmp_path / "run", 10)
    with run.writing():
        run.append([make_rows(9), make_rows(2)])
        run.append([make_rows(5)])
    table = run.table()
    assert table.ids == ("s2", "s5", "s9")
    assert table.questions == ("what is 2?", "what is 5?", "what is 9?")
    assert table.answers[0] == "it is 2"
    np.testing.assert_array_equal(table.mass, np.stack([make_rows(n).mass for n in (2, 5, 9)]))
    np.testing.assert_array_equal(table.token, [2, 5, 9])
    np.testing.assert_array_equal(table.probability, [make_rows(n).probability for n in (2, 5, 9)])


def test_table_grows_with_the_scan_and_is_the_same_from_the_derived_file(tmp_path):
    run = make_run(tmp_path / "run", 10, 4)
    assert len(run.table().ids) == 4
    assert run.table() is run.table()
    scan(run, 4, 10)
    grown, fresh = run.table(), Run.open(run.path).table()
    shutil.rmtree(run.path / "statistics")
    built = Run.open(run.path).table()
    for name in ("entropy", "peak", "mass", "layer_entropy", "layer_entropy_reference", "token", "probability"):
        assert getattr(grown, name).tobytes() == getattr(fresh, name).tobytes() == getattr(built, name).tobytes()
    assert grown.ids == fresh.ids == built.ids


def test_table_of_nothing(tmp_path):
    table = make_run(tmp_path / "run", 0).table()
    assert table.ids == ()
    assert table.layer_entropy.shape == (0, 0)


def test_shared_table_cannot_be_changed(tmp_path):
    table = make_run(tmp_path / "run", 4, 4).table()
    with pytest.raises(ValueError, match="read-only"):
        table.entropy[0] = 0


def test_a_sample_appended_again_is_left_as_it_is(tmp_path):
    run = make_run(tmp_path / "run", 10)
    other = replace(make_rows(3), token_text="another")
    with run.writing():
        assert run.append([make_rows(3), other, make_rows(4)]) == ("s3", "s4")
        size = (run.path / "shards" / "00000.bin").stat().st_size
        assert run.append([other]) == ()
    assert (run.path / "shards" / "00000.bin").stat().st_size == size
    assert run.rows("s3").token_text == "t3"


def test_a_bad_batch_leaves_nothing_behind(tmp_path):
    run = make_run(tmp_path / "run", 10)
    with run.writing():
        run.append([make_rows(0)])
        with pytest.raises(ShapeMismatch, match="'s2'"):
            run.append([make_rows(1), make_rows(2, layers=LAYERS + 1)])
        with pytest.raises(UnknownSample, match="s99"):
            run.append([make_rows(1), make_rows(99)])
    assert run.scored_ids() == {"s0"}


def test_shards_change_at_the_size_limit(tmp_path):
    run = make_run(tmp_path / "run", 40)
    scan(run, 0, 40, shard_bytes=7000)
    sizes = [path.stat().st_size for path in sorted((run.path / "shards").iterdir())]
    assert len(sizes) > 3
    assert max(sizes) <= 7000
    assert run.table().ids == tuple(f"s{n}" for n in range(40))


def test_failed_samples_are_listed_until_they_can_be_scored(tmp_path):
    run = make_run(tmp_path / "run", 10)
    broken = Fault("s1", 1, "BrokenImage", "It is cut short.", "Replace it.")
    odd = Fault("s2", 2, "Odd", "Looks odd.", "Look at it.", fatal=False)
    twin = Fault("s1", 17, "DuplicateId", "The id is taken.", "Rename it.")
    with run.writing():
        run.append([make_rows(0)], [broken, odd, twin])
        run.append([], [broken])
    assert run.failed() == (broken, twin)
    assert run.faults() == (broken, odd, twin)
    assert run.counts() == (1, 2, 10)
    missing = Fault("s1", 1, "MissingImage", "It is not there.", "Put it there.")
    with run.writing():
        run.append([], [missing])
    assert run.failed() == (missing, twin), "a record is listed once, with its last fault"
    with run.writing():
        run.append([make_rows(1)])
    assert run.failed() == (twin,)


def test_writing_is_needed_to_append_and_excludes_others(tmp_path):
    run = make_run(tmp_path / "run", 10)
    with pytest.raises(NotWriting):
        run.append([make_rows(0)])
    with run.writing():
        with pytest.raises(RunBusy), Run.open(run.path).writing():
            pass
        with pytest.raises(RunBusy), run.writing():
            pass
        run.append([make_rows(0)])
    with Run.open(run.path).writing() as other:
        other.append([make_rows(1)])
    assert run.scored_ids() == {"s0", "s1"}


def test_steps_of_a_scan_may_come_from_different_threads(tmp_path):
    run = make_run(tmp_path / "run", 10)

    def steps():
        with run.writing():
            for number in range(3):
                run.append([make_rows(number)])
                yield

    scanning = steps()
    for _ in range(3):
        thread = threading.Thread(target=next, args=(scanning,))
        thread.start()
        thread.join()
    scanning.close()
    assert len(run.scored_ids()) == 3


def test_reading_while_writing(tmp_path):
    run = make_run(tmp_path / "run", 60)
    reader, seen = Run.open(run.path), []
    thread = threading.Thread(target=scan, args=(run, 0, 60))
    thread.start()
    while thread.is_alive():
        seen.append(len(reader.table().ids))
    thread.join()
    assert seen == sorted(seen)
    assert len(reader.table().ids) == 60


def test_prepare_resumes_only_with_what_the_run_was_begun_with(tmp_path):
    samples = make_samples(5)
    Run.prepare(tmp_path / "run", make_settings(), samples)
    Run.prepare(tmp_path / "run", make_settings(model="moved/elsewhere", seed=1), samples)
    changed = make_settings(batch_size=8, model_digest="other")
    with pytest.raises(RunMismatch, match=r"model digest 'd1', now 'other'; batch size 4, now 8.*new folder"):
        Run.prepare(tmp_path / "run", changed, samples)
    with pytest.raises(RunMismatch, match="5 samples, now 4"):
        Run.prepare(tmp_path / "run", make_settings(), samples[:4])


def test_create_refuses_folders_in_use(tmp_path):
    make_run(tmp_path / "run", 1)
    with pytest.raises(RunExists):
        make_run(tmp_path / "run", 1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(FolderNotEmpty, match=r"thesis\.txt"):
        make_run(tmp_path / "full", 1)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    with pytest.raises(DuplicateSamples, match="'s0'"):
        Run.create(tmp_path / "twins", make_settings(), make_samples(1) * 2)
    with pytest.raises(NotARun):
        Run.open(tmp_path / "nowhere")


def test_create_takes_over_a_creation_that_was_cut_off(tmp_path):
    run = make_run(tmp_path / "run", 3)
    (run.path / "run.json").unlink()
    assert not is_run(run.path)
    assert make_run(tmp_path / "run", 4).counts() == (0, 0, 4)


def test_any_text_is_an_id(tmp_path):
    ids = ["", "\ud800", "nul\0", "1/../2", "שלום", "'; DROP TABLE scored; --", "a\u2028b", "{id}"]
    samples = [Sample(id, n, (Turn("user", (id,)),), ()) for n, id in enumerate(ids)]
    run = Run.create(tmp_path / "run", make_settings(), samples)
    with run.writing():
        run.append([replace(make_rows(n), id=id) for n, id in enumerate(ids)], [Fault("\udfff", 99, "Odd", "p", "r")])
    run = Run.open(run.path)
    assert run.table().ids == tuple(ids)
    assert run.samples() == tuple(samples)
    assert run.rows("\ud800").id == "\ud800"
    assert run.failed()[0].id == "\udfff"
    with pytest.raises(UnknownSample):
        run.rows("{nobody}")
    assert json.loads((run.path / "run.json").read_text())["batch_size"] == 4


def test_not_scanned(tmp_path):
    with pytest.raises(NotScanned, match="'s1'"):
        make_run(tmp_path / "run", 3).rows("s1")


def test_detection_round_trip_is_exact(tmp_path):
    run = make_run(tmp_path / "run", 3)
    assert run.detection() is None
    detection = Detection(
        method="bye",
        settings={"tau": 2.0, "layers": [1], "entropy": "paper"},
        verdict="poisoned",
        ids=("a", "\ud800", "c"),
        scores=np.array([0.1, 1 / 3, np.nextafter(1, 0)]),
        flagged=np.array([False, True, True]),
        values=np.array([np.nan, 5e-324, 1e300]),
        layers=(LayerReport(0, Mixture((1 / 7, 2.0), (0.1, 0.2), (0.5, 0.5)), float("inf"), float("nan"), True, "x"),),
        reasons=("because",),
        final=None,
        cutoff=np.float64(1 / 9),
    )
    run.save_detection(detection)
    back = Run.open(run.path).detection()
    for name in ("scores", "flagged", "values"):
        assert getattr(back, name).tobytes() == getattr(detection, name).tobytes()
        assert getattr(back, name).dtype == getattr(detection, name).dtype
    assert back.layers[0].mixture == detection.layers[0].mixture
    assert back.layers[0].bsi == float("inf")
    assert np.isnan(back.layers[0].kl)
    assert (back.settings, back.ids, back.reasons, back.final) == (
        detection.settings,
        detection.ids,
        detection.reasons,
        None,
    )
    assert back.cutoff == detection.cutoff


def test_homes(tmp_path, monkeypatch):
    monkeypatch.setenv("BYE_HOME", str(tmp_path))
    assert home() == tmp_path
    assert list_runs() == ()
    first, second = new_run_path("../my data: set?"), new_run_path("../my data: set?")
    assert first.name == "my-data-set"
    assert second.name == "my-data-set-2"
    assert first.parent == tmp_path / "runs"
    assert new_run_path("...").name == "run"
    make_run(second, 1)
    assert list_runs() == (second,)
    monkeypatch.delenv("BYE_HOME")
    assert home().is_absolute()


def test_rows_of_several_samples_come_in_the_order_asked_for_and_only_those_scanned(tmp_path):
    run = make_run(tmp_path / "run", 10)
    scan(run, 0, 6)
    assert [rows.id for rows in run.rows_of(["s4", "s8", "s1"])] == ["s4", "s1"]
    assert_same_rows(next(run.rows_of(["s4"])), run.rows("s4"))
    with pytest.raises(UnknownSample):
        run.rows_of(["s4", "nobody"])


def test_another_process_may_add_an_entry_after_any_statement_of_a_reader(tmp_path):
    """A reader that compares two statements calls a run damaged if a scan writes between them."""
    path = tmp_path / "index.sqlite"
    index.create(path)
    writer = index.connect(path)
    positions = itertools.count()

    class Reader(sqlite3.Connection):
        def execute(self, *arguments):
            rows = super().execute(*arguments).fetchall()
            with index.transaction(writer) as batch:
                index.insert(writer, batch, [(next(positions), Location(0, 0, 1, 0))])
            return SimpleNamespace(fetchone=lambda: rows[0], fetchmany=lambda _: [rows.pop()] if rows else [])

    reader = sqlite3.connect(path, factory=Reader)
    assert [index.count_scored(reader) for _ in range(3)] == [0, 1, 2]
    assert len(index.entries(reader, 3)) == 0, "it is written just after the search"
    assert len(index.entries(reader, 3)) == 1
