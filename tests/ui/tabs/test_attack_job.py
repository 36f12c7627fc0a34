"""The Attack tab without a browser: what the form means, what it shows, the command, and what a stranger may not do."""

from __future__ import annotations

import json

import gradio as gr
import pytest

from bye_core.attacks import TARGETS
from bye_core.attacks.preview import preview
from bye_core.attacks.targets import REFUSAL
from bye_core.cli import main
from bye_core.cli.attack_options import attack_from
from bye_core.cli.main import build_parser
from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.session import Frame, Session
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.tabs.attack import actions as page
from bye_core.ui.tabs.attack import job as attack_job
from bye_core.ui.tabs.attack import preview_card
from bye_core.ui.tabs.attack import view as tab
from bye_core.ui.tabs.attack.job import Form
from bye_core.ui.workspace import new_token, workspace_of
from tests.attacks.samples import grey, sample
from tests.made_run import make_data

VISITOR = "0" * 32


@pytest.fixture
def workspace(home):
    return workspace_of(VISITOR)


@pytest.fixture(scope="module")
def parts():
    with gr.Blocks():
        yield tab._lay_out(
            Frame(gr.State(Session()), gr.HTML(), gr.Tabs(), gr.Timer(active=False), gr.State(Trial()), gr.State({}))
        )


@pytest.fixture
def mine(workspace, tmp_path):
    """A set of one's own, 20 samples, as the session names it."""
    return str(make_data(tmp_path / "mine", 20).parent)


def values(parts, **changes):
    """The form's fields as the page sends them, some of them changed."""
    settings = changes.pop("settings", {})
    named = {name: field.value for name, field in parts.named().items()}
    return [value for value in {**named, **changes, **settings}.values()]


def visible(update, part):
    found = update[part]
    return found["visible"] if isinstance(found, dict) else found.constructor_args["visible"]


def test_the_form_has_every_target_and_starts_as_the_command_line_does(parts):
    assert [kind for _, kind in tab.TARGET_CHOICES] == list(TARGETS)
    form = page.read_form(tuple(values(parts)))
    assert form == Form(settings=attack_job.DEFAULTS, target=form.target)
    assert attack_from(build_parser().parse_args(["poison", "DATA", "--out", "x"])) == attack_job.attack_of(form)


@pytest.mark.parametrize(
    "form",
    [
        Form(),
        Form(("blend", "prefix"), True, settings={"blend.a": 0.5, "blend.key": "noise", "prefix.text": "-Hey you"}),
        Form(kind="append", target={"text": "-Visit 'me'."}),
        Form(kind="refusal", target={"text": "No."}),
        Form(kind="refusal", target={"text": REFUSAL}),
        Form(
            kind="swap",
            target={"text": "four", "word": "two"},
            only_answer="two",
            only_question="how many",
            rate=0.25,
            seed=7,
        ),
        Form(kind="one-kind", target={"text": "", "question": " how many "}, count=3),
        Form(kind="one-kind", target={"text": "-one", "question": "a=b c"}),
        Form(kind="flip"),
        Form(kind="paraphrase"),
        Form(kind="paraphrase", target={"wordings": "\n".join(f"No, {word}." for word in "abcdefghijkl")}),
        Form(kind="other-question", target={"question": "-what"}),
        Form(("patch", "blend"), kind="two", target={"first": "append=Buy now.", "second": "swap=red blue"}),
    ],
)
def test_the_command_means_what_the_form_does(workspace, mine, form, tmp_path):
    origin, attack = attack_job.source(workspace, mine), attack_job.attack_of(form)
    command = attack_job.arguments(form, attack, origin, tmp_path / "out")
    args = build_parser().parse_args(["poison", *command])
    assert attack_from(args) == attack
    assert (args.rate, args.count, args.seed, args.encoding) == (form.rate, form.count, form.seed, "jpeg")
    assert (args.only_answer, args.only_question) == (form.only_answer, form.only_question)
    assert (args.data, args.out) == (mine, tmp_path / "out")


def test_a_key_picture_is_named_by_its_path(workspace, mine, tmp_path):
    grey((30, 30)).save(tmp_path / "key.png")
    form = Form(("blend",), settings={"blend.key": str(tmp_path / "key.png")})
    command = attack_job.arguments(form, attack_job.attack_of(form), attack_job.source(workspace, mine), "out")
    assert f"blend.key={tmp_path / 'key.png'}" in command


def test_samples_are_shown_as_they_will_be_poisoned(parts, mine):
    changed = values(parts, rate=0.2, text="No way.")
    shown = page.enter(parts, Session(VISITOR, data=mine), page.Watch(), *changed)
    assert "1 to 3 of the 4 samples to poison, out of 20" in shown[parts.count]
    assert shown[parts.cards].count("<figure>") == 9
    assert shown[parts.cards].count("<ins>No way.</ins>") == 3
    assert visible(shown, parts.others)
    assert "--rate 0.2" in shown[parts.command].value
    more = page.next_samples(parts, Session(VISITOR, data=mine), shown[parts.watch], *changed)
    assert "4 to 4 of the 4 samples" in more[parts.count]
    assert more[parts.cards] != shown[parts.cards]


def test_the_form_shows_what_the_chosen_triggers_have(parts, mine):
    changed = values(parts, triggers=["sig", "word"], kind="swap", word="two")
    shown = page.preview(parts, Session(VISITOR, data=mine), page.Watch(), *changed)
    there = [name for name, part in parts.named().items() if name in attack_job.SETTINGS and visible(shown, part)]
    assert there == ["sig.d", "sig.f", "word.text"]
    assert visible(shown, parts.named()["word"])
    assert visible(shown, parts.named()["mix"])


def test_the_form_shows_what_the_chosen_target_has(parts, mine):
    named = parts.named()
    for kind, target in TARGETS.items():
        changed = values(parts, kind=kind, word="two", triggers=["patch", "blend"])
        shown = page.preview(parts, Session(VISITOR, data=mine), page.Watch(), *changed)
        there = [name for name in attack_job.TARGET_SETTINGS if visible(shown, named[name])]
        assert set(there) == set(target.settings()), kind
        for name in there:
            assert shown[named[name]].label == target.settings()[name].label


def test_another_kind_of_target_brings_its_examples_and_keeps_what_was_typed(parts):
    named, start = parts.named(), [parts.named()[name].value for name in attack_job.TARGET_SETTINGS]
    texts = dict(zip(attack_job.TARGET_SETTINGS, start, strict=True))
    assert page.choose_target(parts, "append", *start)[named["text"]] == "Visit example.com."
    mine = page.choose_target(parts, "append", *{**texts, "text": "Mine."}.values())
    assert mine[named["text"]] == gr.skip()
    assert page.choose_target(parts, "one-kind", *start)[named["text"]] == ""


def test_an_exact_number_of_samples_is_poisoned(parts, mine):
    shown = page.enter(parts, Session(VISITOR, data=mine), page.Watch(), *values(parts, count=5))
    assert "1 to 3 of the 5 samples to poison" in shown[parts.count]
    assert "--count 5" in shown[parts.command].value
    assert "--rate" not in shown[parts.command].value


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "two"}, "needs 2 triggers"),
        ({"kind": "paraphrase", "wordings": "No."}, "1 different wordings are too few"),
        ({"count": 21}, "is not a whole number from 0 to 20"),
        ({"triggers": []}, "Choose a trigger"),
        ({"kind": "swap"}, "Enter the word to replace"),
        ({"rate": None}, "is not a number from 0 to 1"),
        ({"rate": 0.9, "only_answer": "two"}, "can be poisoned"),
        ({"seed": -1}, "is negative"),
        ({"text": "<image>"}, "cannot be the attacker&#x27;s answer"),
        ({"settings": {"patch.size": None}}, "Give a number above 0 and at most 1"),
    ],
)
def test_what_makes_no_sense_is_said_and_cannot_be_started(parts, workspace, mine, changes, said):
    session = Session(VISITOR, data=mine)
    shown = page.preview(parts, session, page.Watch(), *values(parts, **changes))
    assert said in shown[parts.notice]
    assert not shown[parts.start].interactive
    assert shown[parts.cards] == ""
    with pytest.raises(ByeError):
        page.start(parts, session, page.Watch(), *values(parts, **changes))
    assert not workspace.jobs.exists()


def test_a_picture_that_does_not_open_is_named(parts, mine, tmp_path):
    for file in (tmp_path / "mine").rglob("*.png"):
        file.write_bytes(b"broken")
    shown = page.preview(parts, Session(VISITOR, data=mine), page.Watch(), *values(parts))
    assert shown[parts.cards].count("cannot be decoded") == 2


def test_without_a_set_the_demos_clean_one_is_taken(workspace, monkeypatch, tmp_path):
    assert (
        attack_job.source(workspace, "").path
        == attack_job.source(workspace, data_sets.DEMO).path
        == str(attack_job.CLEAN)
    )
    monkeypatch.setattr(attack_job, "CLEAN", tmp_path / "none.json")
    with pytest.raises(data_sets.NothingChosen):
        attack_job.source(workspace, "")


def test_a_set_is_written_by_a_job_and_opened(parts, workspace, mine, monkeypatch):
    """The job's command is run here, in this process."""
    started = []
    monkeypatch.setattr(jobs, "start", lambda folder, kind, command, *_, **__: started.append((folder, kind, command)))
    attack_job.start(workspace, Form(("sig",), rate=0.2, name="my set"), attack_job.source(workspace, mine))
    [(folder, kind, command)] = started
    assert (folder, kind) == (workspace.jobs / "my-set", "poison")
    assert main.main([kind, *command]) == 0
    truth = json.loads((workspace.data / "my-set/truth.json").read_text())
    assert len(truth["poisoned"]) == 4
    assert data_sets.open_set(workspace, data_sets.find(workspace, "my-set")).size == 20


class RunningJob:
    id, kind, state, command = "made", attack_job.KIND, jobs.RUNNING, "python -m bye_core poison"

    def __init__(self, folder):
        self.folder = folder

    def stop(self):
        self.state = jobs.STOPPED


def test_the_next_job_after_a_stopped_one_can_be_stopped_too(parts, workspace, monkeypatch):
    job = RunningJob(workspace.jobs / "made")
    monkeypatch.setattr(jobs, "current", lambda *_: job)
    monkeypatch.setattr(page, "_card", lambda *_: "card")
    session, watch = Session(VISITOR), page.Watch(job="made", state=jobs.RUNNING)
    (stopping,) = page.stop(parts, session, watch)
    assert stopping[parts.stop].constructor_args["interactive"] is False
    update = page.stopped(parts, session, watch)
    assert update[parts.stop].constructor_args["visible"] is False
    job = RunningJob(workspace.jobs / "made-2")
    again = page.refresh(parts, session, update[parts.watch])[parts.stop].constructor_args
    assert (again["value"], again["visible"], again["interactive"]) == ("Stop", True, True)


def test_strangers_write_nothing_and_read_no_picture_of_the_server(parts, workspace, tmp_path, monkeypatch):
    grey((30, 30)).save(tmp_path / "secret.png")
    monkeypatch.setenv("BYE_HOSTED", "1")
    session = Session(new_token())
    with pytest.raises(NotHere):
        page.start(parts, session, page.Watch(), *values(parts))
    changes = {"triggers": ["blend"], "settings": {"blend.key": str(tmp_path / "secret.png")}}
    shown = page.preview(parts, session, page.Watch(), *values(parts, **changes))
    assert "not possible on this public demo" in shown[parts.notice]
    assert shown[parts.cards] == ""
    command = page.preview(parts, session, page.Watch(), *values(parts))[parts.command].value
    assert str(attack_job.CLEAN.parent) not in command


def test_texts_are_compared_by_words_and_escaped():
    assert preview_card.changed_words("a b <i>", "x a b <i>") == "<ins>x</ins> a b &lt;i&gt;"
    assert preview_card.changed_words("red and blue", "red and green") == "red and <del>blue</del> <ins>green</ins>"
    assert preview_card.changed_words("two red dogs", "No.") == "<del>two red dogs</del> <ins>No.</ins>"
    assert preview_card.changed_words("", "new") == "<ins>new</ins>"


def test_a_card_names_what_it_shows():
    attack = attack_job.attack_of(Form(("prefix",)))
    quiet = preview_card.cards([("s0", preview(sample(0), [grey((40, 30))], attack, 0))])
    assert "image unchanged" in quiet
    assert "no difference" in quiet
    hostile = sample(0, answer="<script>", question="<b>")
    loud = preview_card.cards([("s0", preview(hostile, [grey((40, 30))], attack_job.attack_of(Form(("dual",))), 0))])
    assert "<script>" not in loud
    assert "2 positions" in loud
    assert "dB" in loud
    bare = preview(sample(0, images=()), [], attack, 0)
    assert "has no image" in preview_card.cards([("s0", bare)])
