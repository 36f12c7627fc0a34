"""The CSV file of samples: all numbers, and no text that a spreadsheet would run."""

import csv
import io
from dataclasses import replace

import numpy as np

from bye_core.records import IMAGE, Decision, Detection, ScanTable
from bye_core.reports.sample_csv import write_samples

N, L, H = 3, 2, 2
RNG = np.random.default_rng(0)
TABLE = ScanTable(
    ids=("a", "=cmd()", "c"),
    layer_entropy=RNG.uniform(0, 4, (N, L)),
    layer_entropy_reference=RNG.uniform(0, 4, (N, L)),
    entropy=RNG.uniform(0, 4, (N, L, H)),
    peak=RNG.uniform(0, 1, (N, L, H)),
    mass=RNG.uniform(0, 1, (N, L, H, 3)),
    probability=np.array([0.5, 0.25, np.nan]),
    questions=("What?", "+1+1", "Who?"),
    answers=("cat", "@SUM(A1)", "-x"),
)
DETECTION = Detection(
    "auto", {}, "poisoned", ("c", "=cmd()"), np.array([0.25, 1.0]), np.array([False, True]),
    np.array([np.nan, 2.5]), (), (), suspects=("c",),
)  # fmt: skip


def written(rows, heads=True, table=TABLE):
    file = io.StringIO()
    write_samples(file, table, rows, DETECTION, {"=cmd()": Decision("=cmd()", "reject", "=me", "-note")}, heads)
    return list(csv.DictReader(io.StringIO(file.getvalue())))


def test_every_number_of_a_sample_is_in_its_row():
    (row,) = written([1])
    for layer in range(L):
        assert np.isclose(float(row[f"entropy_layer_{layer}"]), TABLE.layer_entropy[1, layer])
        for head in range(H):
            assert np.isclose(float(row[f"entropy_layer_{layer}_head_{head}"]), TABLE.entropy[1, layer, head])
            assert np.isclose(float(row[f"largest_share_layer_{layer}_head_{head}"]), TABLE.peak[1, layer, head])
            expected = TABLE.mass[1, layer, head, IMAGE]
            assert np.isclose(float(row[f"image_attention_layer_{layer}_head_{head}"]), expected)
    assert (row["score"], row["value"], row["flagged"], row["token_probability"]) == ("1.0", "2.5", "true", "0.25")
    assert (row["decision"], row["method"]) == ("reject", "auto")


def test_no_text_is_a_formula():
    for row in written([0, 1, 2]):
        texts = [row[name] for name in ("id", "question", "answer", "reviewer", "note")]
        assert not any(text.startswith(("=", "+", "-", "@")) for text in texts)
    assert written([1])[0]["id"] == "'=cmd()"


def test_unknown_numbers_are_empty_and_heads_can_be_left_out():
    a, c = written([0, 2], heads=False)
    assert (a["score"], a["flagged"]) == ("", ""), "the detection does not cover it"
    assert (c["value"], c["token_probability"], c["worth_a_look"]) == ("", "", "true")
    assert not any("head" in name for name in a)
    assert "entropy_layer_1" in a
    bare = replace(TABLE, entropy=None, peak=None, mass=None)
    assert set(written([0], table=bare)[0]) == set(a)
