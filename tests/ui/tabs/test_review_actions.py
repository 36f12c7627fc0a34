"""What the Review page's server functions answer: to the visitor, to strangers, to hostile data and to bad requests."""

import base64
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from bye_core import pipeline, runs
from bye_core.records import Decision, Grid, Sample, Turn
from bye_core.runs import Run
from bye_core.ui.shared import images, sample_queue
from bye_core.ui.tabs.review import actions as review_actions
from bye_core.ui.tabs.review import decisions as review_decisions
from bye_core.ui.workspace import new_token
from tests.made_run import make_rows

HERE = {"visitor": "", "run": "made"}


def ask(function, **more):
    return json.loads(function({**HERE, **more}))


def positions(answer):
    return np.frombuffer(base64.b64decode(answer["positions"]), "<u4").tolist()


def marks(answer):
    return np.frombuffer(base64.b64decode(answer["marks"]), np.uint8)


def listed(**query):
    return positions(ask(review_actions.review_queue, query=query))


def test_the_queue_lists_the_flagged_with_their_first_cards(run, poisoned):
    answer = ask(review_actions.review_queue, query={"show": "flagged"})
    ids = [run.samples()[position].id for position in positions(answer)]
    assert set(ids) == poisoned
    assert [card["id"] for card in answer["cards"]] == ids
    assert answer["cards"][0]["answer"] == "Backdoor Attack!"
    assert np.flatnonzero(marks(answer) & sample_queue.FLAGGED_BIT).tolist() == sorted(positions(answer))
    assert answer["sensitive"] == list(run.detection().sensitive_layers)
    assert ask(review_actions.review_notice) == {"notice": None}


def test_a_page_that_is_built_gets_list_sample_and_picture_in_one_answer(run, poisoned):
    first = listed(show="flagged")[0]
    run.decide([Decision(run.samples()[first].id, "reject")])
    answer = json.loads(review_actions.review_enter({"visitor": "", "asked": "", "kept": "made"}))
    assert (answer["run"], answer["query"]) == ("made", {"show": "flagged"})
    assert answer["list"] == ask(review_actions.review_queue, query={"show": "flagged"})
    shown = answer["first"]
    assert shown["position"] == listed(show="flagged")[1], "the first that is undecided"
    picture = shown.pop("picture")
    assert shown == ask(review_actions.review_sample, position=shown["position"])
    assert picture == ask(review_actions.review_picture, position=shown["position"], number=0)


@pytest.mark.parametrize(
    ("asked", "query", "sample", "shown", "first"),
    [
        ("made", {"show": "all", "sort": "file"}, "s00007", {"show": "all", "sort": "file"}, 7),
        ("", {"show": "all"}, "gone", {"show": "all"}, None),
        ("made", {}, "s00000", {"show": "all"}, 0),  # not in the list of flagged samples
        ("made", {"show": "bogus"}, "", {"show": "flagged"}, None),
        ("made", {"question": 10**9}, "", {"show": "flagged"}, None),
        ("other", {"show": "all"}, "s00007", {"show": "flagged"}, None),
    ],
)
def test_a_link_opens_its_list_and_sample_or_the_defaults(run, poisoned, asked, query, sample, shown, first):
    assert "s00000" not in poisoned
    link = {"visitor": "", "asked": asked, "kept": "made", "query": query, "sample": sample}
    answer = json.loads(review_actions.review_enter(link))
    assert answer["query"] == shown
    assert answer["first"]["position"] in positions(answer["list"])
    if first is not None:
        assert answer["first"]["position"] == first


def test_a_page_that_is_built_without_a_picture_or_a_run_is_not_held_up(run, home, monkeypatch):
    (home / "made/data").rename(home / "made/elsewhere")
    answer = json.loads(review_actions.review_enter({"visitor": "", "asked": "made", "kept": ""}))
    assert answer["first"]["picture"] is None
    monkeypatch.setenv("BYE_HOSTED", "1")
    for visitor in ("", new_token()):
        monkeypatch.setattr("bye_core.ui.demo_run.has_demo", lambda: False)
        answer = json.loads(review_actions.review_enter({"visitor": visitor, "asked": "made", "kept": "made"}))
        assert set(answer) == {"error"}


def test_a_page_does_not_wait_for_a_large_set_that_is_not_open(run, poisoned, monkeypatch):
    monkeypatch.setattr(images, "LARGE_SET", 0)
    monkeypatch.setattr(images, "_opened", set())
    request = {"visitor": "", "asked": "", "kept": "made"}
    first = json.loads(review_actions.review_enter(request))["first"]
    assert first["picture"] is None
    picture = ask(review_actions.review_picture, position=first["position"], number=0, original=True)
    assert picture["src"]
    assert json.loads(review_actions.review_enter(request))["first"]["picture"]["src"]


def test_filters_by_the_texts_of_a_sample(run):
    same = listed(question=4, sort="file")
    assert same == [p for p, sample in enumerate(run.samples()) if sample.question == run.samples()[4].question]
    assert listed(text="s00017") == [17]
    assert listed(picked=["s00003", "s00001", "gone", 5], sort="file") == [1, 3]


def test_a_sample_comes_with_its_attention_and_what_explains_it(run, poisoned):
    sample = ask(review_actions.review_sample, id=min(poisoned))
    assert sample["summary"].startswith("Flagged")
    assert sample["token"] == "Back"
    assert sample["heat"]["layers"] == 8
    assert len(sample["heat"]["grids"][0]["values"][0]) == 144
    compared = ask(review_actions.review_sample, position=sample["typical"]["position"])
    assert compared["question"] == sample["question"]
    assert compared["id"] not in poisoned
    assert sample["decision"] is None


def test_pictures_come_decoded_and_bounded(run_path, home):
    answer = ask(review_actions.review_picture, position=3, number=0)
    kind, content = answer["src"].split(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (answer["width"], answer["height"]) == (96, 72)
    Image.new("RGB", (3000, 1500), "red").save(home / "made/data/images/5.png")
    answer = ask(review_actions.review_picture, position=5, number=0)
    assert (answer["width"], answer["height"]) == (3000, 1500)
    assert Image.open(io.BytesIO(base64.b64decode(answer["src"].split(",")[1]))).size == (1024, 512)
    thumbs = ask(review_actions.review_thumbnails, positions=[3, 5])["thumbnails"]
    assert all(thumbs[p].startswith("data:image/webp;base64,") and len(thumbs[p]) < 6000 for p in ("3", "5"))


def test_decisions_are_on_disk_in_order_when_answered(run):
    for number, choice in ((4, "reject"), (2, "accept"), (4, "accept")):
        answer = ask(review_decisions.review_decide, id=f"s{number:05d}", choice=choice, reviewer="Ann", note="seen")
        assert answer["count"] == 1
        assert run.batches()[-1].id == answer["batch"]
    assert [(b.decisions[0].id, b.decisions[0].choice) for b in run.batches()] == [
        ("s00004", "reject"), ("s00002", "accept"), ("s00004", "accept"),
    ]  # fmt: skip
    decision = ask(review_actions.review_sample, position=4)["decision"]
    assert decision == {"choice": "accept", "reviewer": "Ann", "note": "seen"}
    assert set(listed(show="accepted")) == {2, 4}


def test_a_list_is_decided_as_one_batch_and_undone_as_one(run):
    flagged = listed(show="flagged")
    answer = ask(review_decisions.review_decide, positions=[*flagged, flagged[0]], choice="reject")
    assert answer["count"] == len(flagged)
    assert set(listed(show="rejected")) == set(flagged)
    undone = ask(review_decisions.review_undo, batch=answer["batch"])
    assert undone["count"] == len(flagged)
    assert not (marks(undone) & sample_queue.REJECTED_BIT).any()
    assert ask(review_decisions.review_undo, batch=answer["batch"])["error"]["kind"] == "NothingToUndo"


def test_deciding_again_without_a_note_keeps_the_one_there_is(run):
    ask(review_decisions.review_decide, id="s00001", choice="reject", note="odd")
    ask(review_decisions.review_decide, positions=[0, 1], choice="accept")
    assert {id: decision.note for id, decision in run.decisions().items()} == {"s00000": "", "s00001": "odd"}
    ask(review_decisions.review_decide, id="s00001", choice="accept", note="")
    assert run.decisions()["s00001"].note == ""


def test_undo_without_a_batch_takes_back_the_newest_of_that_reviewer_only(run):
    ask(review_decisions.review_decide, id="s00001", choice="reject", reviewer="Ann")
    ask(review_decisions.review_decide, id="s00002", choice="reject", reviewer="Ben")
    assert ask(review_decisions.review_undo, reviewer="Ann")["id"] == "s00001"
    assert set(run.decisions()) == {"s00002"}
    assert "error" in ask(review_decisions.review_undo, reviewer="Ann")


def test_decisions_survive_another_detection_and_contradictions_show(run, run_path, poisoned):
    kept = min(poisoned)
    ask(review_decisions.review_decide, id=kept, choice="accept")
    ask(review_decisions.review_decide, id="s00000", choice="reject")
    before = ask(review_actions.review_queue)["stamp"]
    pipeline.detect_run(run_path, "bye", cutoff=0.5)
    assert ask(review_actions.review_queue)["stamp"] != before
    assert [run.samples()[p].id for p in listed(show="contrary")] == ["s00000"]
    pipeline.detect_run(run_path, "bye")
    assert {run.samples()[p].id for p in listed(show="contrary")} == {"s00000", kept}


@pytest.mark.parametrize(
    "bad",
    [
        {"query": {"show": "everything"}},
        {"query": {"question": 10**9}},
        {"query": {"question": "4"}},
        {"query": {"picked": "s1"}},
        {"query": "all"},
        {"query": {"text": 5}},
        {"run": "../made"},
        {"run": None},
        {"visitor": 7},
    ],
)
def test_nonsense_is_refused_with_a_remedy(run, bad):
    error = ask(review_actions.review_queue, **bad)["error"]
    assert error["problem"]
    assert error["remedy"]


@pytest.mark.parametrize(
    ("function", "more"),
    [
        (review_actions.review_sample, {"position": -1}),
        (review_actions.review_sample, {"position": True}),
        (review_actions.review_sample, {"id": "gone"}),
        (review_actions.review_cards, {"positions": [0, 10**6]}),
        (review_actions.review_cards, {"positions": "all"}),
        (review_actions.review_picture, {"position": 0, "number": 1}),
        (review_actions.review_picture, {"position": 0}),
        (review_decisions.review_decide, {"id": "gone", "choice": "reject"}),
        (review_decisions.review_decide, {"id": "s00000", "choice": "toggle"}),
        (review_decisions.review_decide, {"positions": [0], "choice": ["reject"]}),
    ],
)
def test_other_nonsense_too(run, function, more):
    assert set(ask(function, **more)["error"]) == {"kind", "problem", "remedy"}
    assert run.batches() == []


def test_not_even_an_object():
    for nothing in (None, [], "review", 3):
        assert "error" in json.loads(review_actions.review_queue(nothing))


@pytest.mark.parametrize("function", [*review_actions.SERVER_FUNCTIONS, *review_decisions.DECISION_FUNCTIONS])
def test_on_a_public_host_only_the_visitors_own_token_opens_a_run(run_path, home, monkeypatch, function):
    monkeypatch.setenv("BYE_HOSTED", "1")
    monkeypatch.setattr("bye_core.ui.demo_run.has_demo", lambda: False)  # everybody's, and not what is asked for
    mine, stranger = new_token(), new_token()
    own = home / "visitors" / mine / "runs"
    own.mkdir(parents=True)
    shutil.copytree(run_path, own / "made")
    more = {"id": "s00000", "position": 0, "positions": [0], "number": 0, "choice": "reject", "layers": [0]}
    for visitor in (stranger, "", "../..", mine[:-1], None):
        answer = json.loads(function({**more, "visitor": visitor, "run": "made"}))
        assert set(answer) == {"error"}
        assert str(home) not in json.dumps(answer)
    answer = json.loads(function({**more, "visitor": mine, "run": "made"}))
    assert set(answer) != {"error"} or answer["error"]["kind"] in ("NothingToUndo", "NothingToRedo")
    assert Run.open(run_path).batches() == []


def test_a_moved_data_set_costs_the_pictures_only(run_path, home, monkeypatch):
    (home / "made/data").rename(home / "made/elsewhere")
    answer = ask(review_actions.review_queue, query={"show": "flagged"})
    assert "data.json" in ask(review_actions.review_notice)["notice"]["problem"]
    assert len(positions(answer)) == 12
    assert ask(review_actions.review_sample, position=0)["heat"]
    assert set(ask(review_actions.review_picture, position=0, number=0)["error"]) == {"kind", "problem", "remedy"}
    assert ask(review_actions.review_thumbnails, positions=[0, 1])["thumbnails"] == {"0": "", "1": ""}
    assert ask(review_decisions.review_decide, id="s00000", choice="reject")["count"] == 1
    (home / "made/elsewhere").rename(home / "made/data")
    monkeypatch.setattr("bye_core.ui.shared.images.RETRY_SECONDS", 1e-9)
    assert ask(review_actions.review_picture, position=0, number=0)["width"] == 96


def test_one_broken_picture_is_named_and_the_rest_works(run_path, home):
    (home / "made/data/images/7.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (home / "made/data/images/8.png").unlink()
    assert "cannot be decoded" in ask(review_actions.review_picture, position=7, number=0)["error"]["problem"]
    assert (
        "is not in the data set's folder"
        in ask(review_actions.review_picture, position=8, number=0)["error"]["problem"]
    )
    assert ask(review_actions.review_picture, position=9, number=0)["width"] == 96
    assert list(ask(review_actions.review_thumbnails, positions=[7, 8])["thumbnails"].values()) == ["", ""]


def test_a_changed_data_set_is_said(run_path, home):
    data = home / "made/data/data.json"
    data.write_text(data.read_text().replace("palace", "castle"))
    assert "has changed since the scan" in ask(review_actions.review_notice)["notice"]["problem"]


HOSTILE = "\ud800\x00<script>alert(1)</script>\u202e${7*7}{{value}}"


def hostile_run(home, extra=0):
    """A run of one scanned sample (and `extra` unscanned ones) whose every text is hostile, and without a data set."""
    turns = (Turn("user", (0, HOSTILE)), Turn("assistant", ("x" * 100_000,)))
    samples = [Sample(f"{HOSTILE}{n}", n, turns, (f"{HOSTILE}.png",)) for n in range(1 + extra)]
    run = Run.create(home / "runs" / "hostile", runs.RunSettings("m", "0", str(home / "gone"), "0"), samples)
    with run.writing():
        run.append([make_rows(samples[0].id, False, Grid(0, 4, 4, 0), 2, 2, np.random.default_rng(0))])
    return run


def test_hostile_texts_travel_as_ascii_and_name_their_sample_on_the_way_back(home):
    run = hostile_run(home)
    there = {"visitor": "", "run": "hostile"}
    raw = review_actions.review_sample({**there, "position": 0})
    assert raw.isascii()
    sample = json.loads(raw)
    assert sample["id"] == f"{HOSTILE}0"
    assert sample["answer"].endswith("(96,000 more characters)")
    assert sample["typical"] is None
    assert json.loads(review_decisions.review_decide({**there, "id": sample["id"], "choice": "reject"}))["count"] == 1
    assert run.decisions()[f"{HOSTILE}0"].choice == "reject"
    assert len(review_actions.review_queue({**there, "query": {"text": HOSTILE[2:]}})) < 4000


def test_what_is_not_scanned_is_no_part_of_the_queue(home):
    hostile_run(home, extra=2)
    there = {"visitor": "", "run": "hostile"}
    answer = json.loads(review_actions.review_queue({**there, "query": {}}))
    assert positions(answer) == [0]
    assert marks(answer).tolist() == [0, 255, 255]
    assert answer["detected"] is False
    assert "not been scanned" in json.loads(review_actions.review_sample({**there, "position": 1}))["error"]["problem"]


def test_another_persons_decision_shows_in_the_marks(run):
    assert not (marks(ask(review_decisions.review_marks)) & sample_queue.ACCEPTED_BIT).any()
    run.decide([Decision("s00009", "accept")])
    assert np.flatnonzero(marks(ask(review_decisions.review_marks)) & sample_queue.ACCEPTED_BIT).tolist() == [9]


def test_marks_are_sent_once_and_then_only_after_a_change(run):
    first = ask(review_decisions.review_marks)
    known = {"known": first["decided"], "newest": first["newest"]}
    assert "marks" not in ask(review_decisions.review_marks, **known)
    batch = run.decide([Decision("s00009", "accept", "Ben"), Decision("s00010", "accept", "Ben")])
    answer = ask(review_decisions.review_marks, **known)
    assert answer["others"] == [{"batch": batch, "reviewer": "Ben", "count": 2}]
    assert np.flatnonzero(marks(answer) & sample_queue.ACCEPTED_BIT).tolist() == [9, 10]
    known = {"known": answer["decided"], "newest": answer["newest"]}
    run.undo(batch)
    assert not marks(ask(review_decisions.review_marks, **known))[[9, 10]].any() & sample_queue.ACCEPTED_BIT


def test_reviewers_who_differ_are_reported_and_listed(run):
    newest = ask(review_decisions.review_marks)["newest"]
    run.decide([Decision("s00009", "accept", "Ben")])
    mine = {"id": "s00009", "choice": "reject", "reviewer": "Ann"}
    answer = ask(review_decisions.review_decide, **mine, newest=newest)
    assert answer["conflicts"] == [{"id": "s00009", "choice": "accept", "reviewer": "Ben"}]
    newest = ask(review_decisions.review_marks)["newest"]
    assert ask(review_decisions.review_decide, **mine, newest=newest)["conflicts"] == [], "Ann has seen it"
    assert listed(show="disputed") == [9]
    assert np.flatnonzero(marks(ask(review_decisions.review_marks)) & sample_queue.DISPUTED_BIT).tolist() == [9]
    ask(review_decisions.review_decide, id="s00009", choice="reject", reviewer="Ben")
    assert listed(show="disputed") == []


def test_history_names_who_decided_and_each_step_is_undone_and_made_again(run):
    ask(review_decisions.review_decide, id="s00001", choice="reject", reviewer="Ann", note="odd")
    bulk = ask(review_decisions.review_decide, positions=[2, 3], choice="accept", reviewer="Ben")["batch"]
    ask(review_decisions.review_undo, batch=bulk, reviewer="Eve")
    steps = ask(review_decisions.review_history)["steps"]
    assert [(s["reviewer"], s["choice"], s["count"], s["valid"]) for s in steps] == [
        ("Ben", "accept", 2, False), ("Ann", "reject", 1, True),
    ]  # fmt: skip
    assert [(s["undone"] or {}).get("by") for s in steps] == ["Eve", None]
    assert steps[0]["undone"]["time"]
    again = ask(review_decisions.review_redo, batch=bulk, reviewer="Ann")
    assert {id: (d.choice, d.reviewer) for id, d in run.decisions().items()} == {
        "s00001": ("reject", "Ann"), "s00002": ("accept", "Ann"), "s00003": ("accept", "Ann"),
    }  # fmt: skip
    assert run.decisions()["s00002"].time, "the time of the second decision"
    listed_steps = ask(review_decisions.review_history)
    assert [s["batch"] for s in listed_steps["steps"]] == [again["batch"], "000001"]
    assert listed_steps["total"] == 2
    assert ask(review_decisions.review_redo, batch=again["batch"])["error"]["kind"] == "NothingToRedo"
