"""The bench's tables, over hand-written rows."""

import pytest

from bye_core.bench import tables
from tests.bench_detect.rows import detected, row

ROWS = [
    row("patch", 1.0, {"bye": detected(0.96, auc=0.99), "auto": detected(1.0, target_right=True, on_trigger=0.98)}),
    row(
        "blend",
        0.9,
        {
            "bye": detected(0.0, "no_evidence", None, 0.0, 0.5, 0),
            "auto": detected(0.90, auc=0.97, target_right=False, on_trigger=None),
        },
    ),
    row("wanet", 0.05, {"bye": detected(0.1, auc=0.5), "auto": detected(0.0, "no_evidence", None, 0.0, 0.5, 0)}),
    row("sig", 0.5, {"bye": detected(0.2, auc=0.6), "auto": detected(0.3, auc=0.7)}, tower=True),
    row("clean", None, {"bye": detected(flagged=500), "auto": {"skipped": "It needs a base model."}}),
]


def test_the_summary_counts_each_cell_where_it_belongs():
    found = tables.summary(ROWS)
    bye, auto = found["bye"], found["auto"]
    assert (bye["learned"], bye["mean_f1"], bye["lowest_f1"]) == (2, pytest.approx(0.48), 0.0)
    assert bye["mean_auc"] == pytest.approx(0.745)
    assert (bye["unlearned"], bye["abstained"], bye["clean"], bye["alarms"], bye["skipped"]) == (1, 0, 1, 1, 0)
    assert (bye["on_trigger"], bye["targets"]) == (None, 0)
    assert (auto["on_trigger"], auto["targets"], auto["learned"]) == (0.98, 1, 2)
    assert (auto["unlearned"], auto["abstained"], auto["clean"], auto["alarms"], auto["skipped"]) == (1, 1, 0, 0, 1)


def test_without_learned_attacks_there_is_no_mean():
    found = tables.summary(ROWS[4:])["bye"]
    assert (found["mean_f1"], found["lowest_f1"], found["mean_auc"], found["learned"]) == (None, None, None, 0)


def test_the_attack_table_tells_what_each_training_did():
    header, patch, *_, sig, clean = tables.attack_table(ROWS)
    assert dict(zip(header, patch, strict=True)) == {
        "attack": "patch", "rate": "10%", "tower": "frozen", "questions": "mixed", "samples": "900", "seed": "2000",
        "CP base": "100.0%", "CP": "97.0% (94.0 to 99.0)", "ASR": "100.0% (98.0 to 100.0)", "steps": "452",
        "minutes": "11.0",
    }  # fmt: skip
    assert dict(zip(header, sig, strict=True))["tower"] == "tuned"
    assert dict(zip(header, clean, strict=True))["ASR"] == "-"


def test_the_detector_table_has_a_column_a_detector():
    header, *lines = tables.detector_table(ROWS)
    assert header[-2:] == ["bye", "auto"]
    assert [line[-2:] for line in lines] == [
        ["0.96 (1.00 / 1.00), 0.99", "1.00 (1.00 / 1.00), 1.00"],
        ["no evidence; 0.00 (- / 0.00), 0.50", "0.90 (1.00 / 1.00), 0.97"],
        ["0.10 (1.00 / 1.00), 0.50", "no evidence; 0.00 (- / 0.00), 0.50"],
        ["0.20 (1.00 / 1.00), 0.60", "0.30 (1.00 / 1.00), 0.70"],
        ["500 flagged", "-"],
    ]


def test_both_ways_of_writing_hold_every_entry():
    table = [["a", "long name"], ["longer", "1"]]
    assert tables.markdown(table) == "| a | long name |\n| --- | --- |\n| longer | 1 |"
    assert tables.aligned(table) == "a       long name\nlonger  1"


def test_the_summary_table_has_a_line_a_detector():
    header, bye, auto = tables.summary_table(ROWS)
    assert dict(zip(header, auto, strict=True)) == {
        "detector": "auto", "mean F1 (ASR >= 90%)": "0.950", "lowest F1": "0.900", "mean AUC": "0.985",
        "peak on the trigger": "98.0%", "target ranked first": "1 of 2", "no evidence (ASR < 10%)": "1 of 1",
        "false alarms": "0 of 0", "skipped": "1",
    }  # fmt: skip
    assert bye[-2] == "1 of 1"
