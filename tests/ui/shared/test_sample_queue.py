"""The queue's order and filters, on hand-written columns."""

import time

import numpy as np
import pytest

from bye_core.records import Decision, Detection, ScanTable
from bye_core.ui.shared import sample_queue
from bye_core.ui.shared.sample_queue import BadQuery, Query

IDS = ("a", "b", "c", "d", "e")
NAN = float("nan")


def made(scores=(0.2, 1.0, 1.0, 0.9, NAN), values=(5.0, 1.0, 0.5, 2.9, NAN), cutoff=3.0, side="low"):
    return sample_queue.Columns(
        ids=IDS,
        questions=("How many?", "What?", "How many?", "What?", "Why?"),
        answers=("two", "Backdoor Attack!", "BACKDOOR attack!", "two", ""),
        scores=np.array(scores),
        values=np.array(values),
        flagged=np.array([False, True, True, True, False]),
        suspects=np.array([True, False, False, False, False]),
        cutoff=cutoff,
        side=side,
    )


def listed(columns, chosen=(0, 0, 0, 0, 0), **query):
    rows = sample_queue.select(columns, np.array(chosen, np.uint8), Query(**query))
    return "".join(columns.ids[row] for row in rows)


def test_most_suspicious_first_equal_scores_by_value_unknown_last():
    assert listed(made()) == "cbdae"


def test_where_high_values_are_suspicious_they_come_first():
    assert listed(made(side="high")) == "bcdae"


def test_most_uncertain_is_nearest_the_cutoff():
    assert listed(made(), sort="uncertain") == "dabce"


def test_without_a_cutoff_the_score_tells_what_is_uncertain():
    assert listed(made(scores=(0.45, 1.0, 0.9, 0.6, NAN), cutoff=None), sort="uncertain") == "adcbe"


def test_file_order():
    assert listed(made(), sort="file") == "abcde"


@pytest.mark.parametrize(
    ("show", "expected"),
    [
        ("flagged", "bcd"),
        ("undecided", "ce"),
        ("accepted", "ab"),
        ("rejected", "d"),
        ("contrary", "b"),
        ("suspects", "a"),
        ("all", "abcde"),
    ],
)
def test_filters_by_state(show, expected):
    assert listed(made(), (1, 1, 0, 2, 0), show=show, sort="file") == expected


def test_rejected_by_hand_and_not_flagged_is_contrary_too():
    assert listed(made(), (2, 0, 0, 0, 0), show="contrary") == "a"


def test_filters_by_question_answer_text_and_picked_rows():
    columns = made()
    assert listed(columns, sort="file", question=2) == "ac"
    assert listed(columns, sort="file", answer=3) == "ad"
    assert listed(columns, sort="file", text=" BackDoor ") == "bc"
    assert listed(columns, sort="file", text="what?") == "bd"
    assert listed(columns, sort="file", rows=(3, 0)) == "ad"
    assert listed(columns, sort="file", rows=()) == ""
    assert listed(columns, question=0, answer=3, text="two", show="flagged") == ""


def test_an_unknown_list_is_refused():
    with pytest.raises(BadQuery, match="Reload"):
        Query(show="everything")


def test_marks_hold_flag_and_choice():
    chosen = np.array([1, 2, 0, 1, 0], np.uint8)
    assert sample_queue.marks(made(), chosen).tolist() == [10, 5, 1, 3, 0]


def test_facets_count_the_commonest_and_leave_out_the_single():
    columns = made()
    found = sample_queue.facets(columns.questions, columns.same_question)
    assert found == [(0, "How many?", 2), (1, "What?", 2)]
    assert sample_queue.facets(columns.answers, columns.same_answer, limit=1) == [(0, "two", 2)]


def table(ids):
    blank = np.zeros((len(ids), 1))
    return ScanTable(ids, blank, blank, questions=("q",) * len(ids), answers=("a",) * len(ids))


def test_columns_line_up_by_id_where_the_scan_went_on_after_the_detection():
    detection = Detection(
        "bye", {}, "poisoned", ("c", "a"), np.array([0.9, 0.1]), np.array([True, False]), np.array([1.0, 5.0]), (), ()
    )
    columns = sample_queue.columns(table(("a", "b", "c")), detection)
    np.testing.assert_array_equal(columns.scores, [0.1, NAN, 0.9])
    assert columns.flagged.tolist() == [False, False, True]


def test_without_a_detection_the_file_order_is_left():
    columns = sample_queue.columns(table(("a", "b", "c")), None)
    assert [sample_queue.select(columns, np.zeros(3), Query(sort=sort)).tolist() for sort in sample_queue.SORTS] == [
        [0, 1, 2]
    ] * 3


def test_decisions_of_samples_that_were_never_scanned_are_passed_over():
    chosen = sample_queue.choices(made(), {"a": Decision("a", "reject"), "z": Decision("z", "accept")}, {"a": 0})
    assert chosen.tolist() == [2, 0, 0, 0, 0]


def test_ten_thousand_samples_are_listed_at_once():
    count, rng = 10_000, np.random.default_rng(0)
    columns = sample_queue.Columns(
        tuple(f"s{n:05d}" for n in range(count)),
        tuple(f"How many of {n % 300}?" for n in range(count)),
        ("An answer of some length, as answers are",) * count,
        rng.random(count), rng.random(count), rng.random(count) < 0.1, np.zeros(count, bool), 0.3,
    )  # fmt: skip
    chosen = rng.integers(0, 3, count).astype(np.uint8)
    queries = [Query(), Query(sort="uncertain", text="of 29"), Query(show="contrary", question=7)]
    for query in queries:
        sample_queue.select(columns, chosen, query)  # what is kept from one list to the next
    spent = []
    for query in queries * 3:
        start = time.perf_counter()
        sample_queue.select(columns, chosen, query)
        spent.append(time.perf_counter() - start)
    assert min(spent[1::3]) < 0.05
    assert min(spent) < 0.02
