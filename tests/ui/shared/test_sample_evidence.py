"""Why a sample is flagged, and what it is compared with."""

import numpy as np
import pytest

from bye_core.records import Detection, LayerReport, Sample, ScanTable, Turn
from bye_core.ui.shared import sample_queue
from bye_core.ui.shared.sample_evidence import Evidence, conversation, layer_names, nearest_question, short

FLAGGED = (True, False, False, False)


def made(flagged=FLAGGED, method="bye", questions=("red cat", "red dog", "red cat", "blue sky"), **more):
    """Four samples, two layers, two heads; layer 1 is sensitive."""
    count = len(flagged)
    entropy = np.array([[5.0, 1.0], [5.0, 4.0], [5.0, 4.2], [5.0, 4.4]])[:count]
    mass = np.zeros((count, 2, 2, 3))
    mass[..., 1] = np.array([0.8, 0.3, 0.4, 0.5])[:count, None, None]
    peak = np.full((count, 2, 2), 0.05)
    peak[0] = 0.9
    table = ScanTable(
        tuple("abcd"[:count]), entropy, entropy, peak=peak, mass=mass, questions=questions, answers=("x",) * count
    )
    detection = Detection(
        method=method, settings={}, verdict="poisoned" if any(flagged) else "no_evidence", ids=table.ids,
        scores=np.where(flagged, 0.99, 0.01), flagged=np.array(flagged), values=entropy[:, 1],
        layers=tuple(LayerReport(n, None, 0, 0, n == 1) for n in (0, 1)), reasons=("Because.",), cutoff=2.5,
        **more,
    )  # fmt: skip
    return Evidence(table, detection, sample_queue.columns(table, detection))


def test_facts_stand_beside_the_median_of_the_unflagged():
    assert [tuple(fact) for fact in made().facts(0)] == [
        ("Entropy, layer 1", "1.00 nats", "4.20 nats"),
        ("Attention on the image", "80.0%", "40.0%"),
        ("Largest share of one cell, mean of heads", "90.0%", "5.0%"),
    ]


def test_other_methods_name_their_own_value():
    assert made(method="tcap").facts(0)[0] == ("Value clustered by tcap", "1.000", "4.200")


def test_where_everything_is_flagged_nothing_is_typical():
    evidence = made(flagged=(True,) * 4)
    assert evidence.facts(0)[0].typical == ""
    assert evidence.typical(0, np.zeros(4)) is None


@pytest.mark.parametrize(
    ("row", "words"), [(0, "Flagged: its attention collapses"), (1, "Not flagged: its attention is spread")]
)
def test_summary_says_which_side_of_the_cutoff(row, words):
    summary = made().summary(row)
    assert summary.startswith(words)
    assert "cut-off 2.50" in summary


def test_summary_without_detection_and_of_a_later_scan():
    evidence = made()
    assert "Run a detection in Layers" in Evidence(
        evidence.table, None, sample_queue.columns(evidence.table, None)
    ).summary(0)
    later = ScanTable(("z",), np.ones((1, 2)), np.ones((1, 2)), questions=("q",), answers=("a",))
    columns = sample_queue.columns(later, evidence.detection)
    assert "after the last detection" in Evidence(later, evidence.detection, columns).summary(0)


def test_no_evidence_gives_the_reasons():
    assert made(flagged=(False,) * 4).summary(0) == "Not flagged: Because."


def test_typical_has_the_same_question_and_is_not_the_sample_itself():
    assert made().typical(0, np.zeros(4)) == (2, True)
    assert made().typical(2, np.zeros(4)) == (1, False)


def test_typical_is_the_one_nearest_to_the_middle():
    evidence = made(questions=("q",) * 4)
    assert evidence.typical(0, np.zeros(4)) == (2, True)
    assert evidence.typical(0, np.array([0, 0, sample_queue.REJECTED, 0])) == (1, True)


def test_nearest_question_shares_the_most_words():
    words = {0: frozenset({"red", "cat"}), 1: frozenset({"red", "dog"}), 2: frozenset({"blue"}), 3: frozenset()}
    assert nearest_question(words, 0, [2, 1, 3]) == 1
    assert nearest_question(words, 3, [1, 2]) == 1


def test_layers_are_named_in_spans():
    assert layer_names([5, 6, 7, 9], 12) == "layers 5-7, 9"
    assert layer_names([4], 12) == "layer 4"
    assert layer_names([0, 1], 2) == "mean of all layers"


def test_long_texts_are_cut_and_say_so():
    assert short("x" * 100, 100) == "x" * 100
    assert short("x" * 5000, 10) == "x" * 10 + " ... (4,990 more characters)"


def test_only_longer_conversations_are_told_whole():
    question, answer = Turn("user", (0, "What?")), Turn("assistant", ("That.",))
    assert conversation(Sample("a", 0, (question, answer), ("x.png",))) == []
    found = conversation(Sample("a", 0, (question, answer, question), ("x.png",)))
    assert found[0] == {"role": "user", "text": "What?"}
    assert len(found) == 3
