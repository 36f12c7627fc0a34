"""The authors' score file, and scores against the truth."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bye_core.detect import detect, read_entropies, score, write_entropies
from bye_core.detect.errors import BadScoreLine, BadSetting, NoScores
from bye_core.records import Detection, ScanTable
from tests.detect.made_tables import make_table, poisoned_table


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_reads_what_the_authors_code_writes(tmp_path):
    path = write(
        tmp_path / "scores.jsonl",
        {"question_id": 17, "answer": "A", "entropy": {"0": 4.5, "1": 3.25}},
        {"question_id": "x", "answer": "ü", "entropy": {"1": 2, "0": 1e-3}},
    )
    table = read_entropies(path)
    assert table.ids == ("17", "x")
    assert table.answers == ("A", "ü")
    np.testing.assert_array_equal(table.layer_entropy, [[4.5, 3.25], [1e-3, 2.0]])
    np.testing.assert_array_equal(table.layer_entropy_reference, table.layer_entropy)


def test_ragged_and_missing_layers_are_nan(tmp_path):
    path = tmp_path / "scores.jsonl"
    path.write_text(
        '\ufeff{"question_id": 1, "entropy": {"0": 1.0}}\r\n\n'
        '{"question_id": 2, "entropy": {"2": 3.0, "0": NaN, "1": null}}\n{"question_id": 3, "entropy": {}}',
        encoding="utf-8",
    )
    table = read_entropies(path)
    np.testing.assert_array_equal(table.layer_entropy, [[1, np.nan, np.nan], [np.nan, np.nan, 3], [np.nan] * 3])
    assert detect(table, "bye").verdict == "not_tested"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense", "Expecting value"),
        (b"[1]", "not a JSON object"),
        (b'{"entropy": {"0": 1}}', "question_id"),
        (b'{"question_id": true, "entropy": {"0": 1}}', "question_id"),
        (b'{"question_id": 1.5, "entropy": {"0": 1}}', "question_id"),
        (b'{"question_id": 1}', "entropy must be"),
        (b'{"question_id": 1, "entropy": [4.5]}', "entropy must be"),
        (b'{"question_id": 1, "entropy": {"0": "4.5"}}', "layer 0 is not a number"),
        (b'{"question_id": 1, "entropy": {"0": true}}', "layer 0 is not a number"),
        (b'{"question_id": 1, "entropy": {"-1": 1}}', "not a layer number"),
        (b'{"question_id": 1, "entropy": {"999999999": 1}}', "not a layer number"),
        ('{"question_id": 1, "entropy": {"٣": 1}}'.encode(), "not a layer number"),
        (b'{"question_id": 1, "entropy": {"0": 1' + b"0" * 400 + b"}}", "too large"),
        (b'{"question_id": 1' + b"0" * 5000 + b', "entropy": {}}', "limit"),
        (b"[" * 100_000, "recursion"),
        (b'{"question_id": "\xff"}', "utf-8"),
        (b'{"question_id": 0, "entropy": {"0": 2}}', "line 1 has the id"),
    ],
)
def test_malformed_lines_are_named(tmp_path, line, reason):
    path = tmp_path / "scores.jsonl"
    path.write_bytes(b'{"question_id": "0", "answer": "", "entropy": {"0": 1}}\n' + line + b"\n")
    with pytest.raises(BadScoreLine, match=f"Line 2 of .*{reason}.*question_id"):
        read_entropies(path)


def test_no_file_and_an_empty_one(tmp_path):
    with pytest.raises(NoScores, match="No such file"):
        read_entropies(tmp_path / "none.jsonl")
    with pytest.raises(NoScores, match="empty"):
        read_entropies(write(tmp_path / "empty.jsonl"))


@settings(max_examples=30, deadline=None)
@given(
    entropies=st.tuples(st.integers(1, 5), st.integers(0, 4)).flatmap(
        lambda shape: arrays(np.float64, shape, elements=st.floats(allow_infinity=False))
    ),
    answer=st.text(st.characters(), max_size=5),
)
def test_round_trip_is_exact(tmp_path_factory, entropies, answer):
    table = make_table(entropies)
    path = tmp_path_factory.mktemp("scores") / "scores.jsonl"
    assert write_entropies(table, path, [answer] * len(entropies)) == path
    back = read_entropies(path)
    assert back.ids == table.ids
    assert set(back.answers) == {answer}
    np.testing.assert_array_equal(back.layer_entropy, entropies)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_writes_the_kind_asked_for_and_nan_as_null(tmp_path):
    table = ScanTable(("a",), np.array([[1.0, 2.0]]), np.array([[3.0, np.nan]], np.float32), answers=("yes",))
    path = tmp_path / "scores.jsonl"
    write_entropies(table, path)
    assert json.loads(path.read_text()) == {"question_id": "a", "answer": "yes", "entropy": {"0": 3.0, "1": None}}
    write_entropies(table, path, ["no"], "paper")
    assert json.loads(path.read_text()) == {"question_id": "a", "answer": "no", "entropy": {"0": 1.0, "1": 2.0}}
    with pytest.raises(BadSetting, match="paper, reference"):
        write_entropies(table, path, entropy="shannon")


def detection(flags, scores, ids=None) -> Detection:
    ids = ids or tuple(str(n) for n in range(len(flags)))
    arrays = np.array(scores, float), np.array(flags, bool), np.full(len(flags), np.nan)
    return Detection("bye", {}, "poisoned", ids, *arrays, (), ())


def test_score_by_hand():
    found = score(detection([1, 1, 0, 0, 0], [0.9, 0.8, 0.7, 0.2, 0.1]), ["0", 2, "99"])
    assert found == {
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "auc": pytest.approx(5 / 6),
        "tp": 1,
        "fp": 1,
        "fn": 1,
        "tn": 2,
        "n": 5,
        "n_poisoned": 3,
        "unscanned": ["99"],
    }
    json.dumps(found)


@pytest.mark.parametrize(
    ("flags", "poisoned", "expected"),
    [
        ([], [], (None, None, None, None)),
        ([0, 0], [], (None, None, None, None)),
        ([1, 0], [], (0.0, None, 0.0, None)),
        ([0, 0], ["0"], (None, 0.0, 0.0, 0.5)),
        ([1, 1], ["0", "1"], (1.0, 1.0, 1.0, None)),
    ],
)
def test_empty_classes_give_none(flags, poisoned, expected):
    found = score(detection(flags, [0.0] * len(flags)), poisoned)
    assert (found["precision"], found["recall"], found["f1"], found["auc"]) == expected


def test_score_of_a_detection():
    found = score(detect(poisoned_table(), "bye"), [f"s{n}" for n in range(10)])
    assert (found["precision"], found["recall"], found["auc"]) == (1.0, 1.0, 1.0)
