"""Why a data set was not tested, on pages: the reason, the button that mends it, and the user's own statement."""

import json
import re

import pytest

from bye_core import pipeline
from bye_core.detect.limitations import FINETUNE_FIRST, ScanFacts, limited, scan_limitations
from bye_core.records import NO_EVIDENCE, NOT_TESTED, Limitation
from bye_core.runs import Run
from bye_core.train.settings import CARD
from bye_core.ui import visitor
from bye_core.ui.adjust.trial import is_same
from bye_core.ui.header.view import header
from bye_core.ui.open_run import open_run
from bye_core.ui.session import Session
from bye_core.ui.shared import messages, obstacles, stages_card
from bye_core.ui.tabs import TABS
from bye_core.ui.tabs.export import summary
from bye_core.ui.tabs.finetune import job as finetune_job
from bye_core.ui.tabs.review import answers
from bye_core.ui.tabs.scan import outcome, run_list
from bye_core.ui.workspace import workspace_of

NOTHING = {"tau": 1e9}  # a setting of bye with which it flags nothing

MADE = Session("v", run="made")


@pytest.fixture
def untested(run_path):
    """A run of a model that is not known to be fine-tuned on its set, in which nothing is flagged."""
    Run.open(run_path).remember(tuned_on_this_data=False)
    assert pipeline.detect_run(run_path, "bye", **NOTHING).verdict == NOT_TESTED
    return run_path


def test_every_kind_of_limitation_has_a_button_to_a_tab():
    facts = (
        ScanFacts(10, 0), ScanFacts(10, 5), ScanFacts(1, 1), ScanFacts(1, 1, adapter=True),
        ScanFacts(1, 1, "a", True, {"data_digest": "b"}),
        ScanFacts(1, 1, "a", True, {"data_digest": "a", "epochs": 0.5}),
        ScanFacts(9, 9, "a", True, {"data_digest": "a", "samples": 3}),
    )  # fmt: skip
    kinds = {one.kind for fact in facts for one in scan_limitations(fact)} | {
        "few_samples",
        "not_learned",
        "missing_input",
        "partial_input",
    }
    assert kinds <= set(obstacles.MENDED_IN)
    assert {tab for tab, _ in obstacles.MENDED_IN.values()} - {""} <= {tab.name for tab in TABS}
    assert set(obstacles.UNKNOWN_TUNING) <= set(obstacles.EXPECTED)


def test_pages_leave_out_the_options_of_the_command_line():
    assert messages.without_options(FINETUNE_FIRST) == (
        "Fine-tune the model on this data set and scan with that adapter; the Clean tab does both."
    )
    words = "Only the split train was read, not a.json. To read another one, name it with --split."
    assert messages.without_options(words) == "Only the split train was read, not a.json."
    assert messages.without_options("Nothing to leave out -- here.") == "Nothing to leave out -- here."


def test_every_page_says_not_tested_with_the_reason_and_the_button(untested):
    opened, workspace = open_run(untested), workspace_of("")
    top = header(MADE)
    assert "bye-open'>Not tested" in top.replace('"', "'")
    pages = [
        top,
        outcome.result(opened.detection, "made"),
        summary.summary(summary.Counts(120, 0, {}, 0, 0), opened.detection, "made"),
    ]
    for page in pages:
        assert "No adapter was scanned" in page
        assert "data-tab='finetune'" in page
        assert "data-statement='yes' data-of='made'" in page
        assert "o evidence" not in page
    assert "The export is a copy." in pages[-1]
    assert "Not tested" in run_list.table(workspace, "made")
    assert "No adapter was scanned" in run_list.table(workspace, "made")
    listing = answers.listing(opened, opened.evidence.ordinary.nonzero()[0][:0])
    assert listing["obstacle"]["buttons"][0]["tab"] == "finetune"
    assert opened.evidence.summary(0).startswith("Not tested: No adapter was scanned")
    assert "--" not in opened.evidence.summary(0)


def test_fine_tune_opens_with_the_scanned_set_though_a_copy_was_exported(untested, run):
    workspace = workspace_of("")
    pipeline.export_run(untested, workspace.data / "exports" / "made")
    assert finetune_job.default_data(workspace, run) == finetune_job.RAW


def test_the_statement_changes_the_verdict_and_can_be_withdrawn(untested):
    session, before = Session(run="made"), open_run(untested)
    tried = before.detect("bye", NOTHING)
    stated = visitor.detect_again(session, "made", obstacles.TUNED)
    assert stated.revision == 1
    opened = open_run(untested)
    assert opened.detection.verdict == NO_EVIDENCE
    assert opened.detection.settings["tau"] == 1e9, "the method and settings of the saved detection"
    assert opened.detect("bye", NOTHING).verdict == NO_EVIDENCE, "no old result is shown"
    assert not is_same(opened.detection, tried)
    top = header(MADE)
    assert "as you stated" in top
    assert "data-statement='no'" in top
    visitor.detect_again(stated, "made", obstacles.WITHDRAWN)
    assert open_run(untested).detection.verdict == NOT_TESTED
    assert not Run.open(untested).settings.tuned_on_this_data


def test_a_statement_about_a_run_of_others_changes_nothing(untested, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    session = Session("0" * 32)
    assert visitor.detect_again(session, "made", obstacles.TUNED) is session
    assert not Run.open(untested).settings.tuned_on_this_data


def test_no_evidence_of_an_earlier_version_is_not_tested_until_it_is_detected_again(run_path):
    pipeline.detect_run(run_path, "bye", **NOTHING)
    saved = run_path / "detection.json"
    record = json.loads(saved.read_text())
    assert record["verdict"] == NO_EVIDENCE
    del record["limitations"], record["crc32"]  # runs of earlier versions have neither
    saved.write_text(json.dumps(record))
    assert "data-statement='again'" in header(MADE)
    visitor.detect_again(Session(run="made"), "made", obstacles.AGAIN)
    assert open_run(run_path).detection.verdict == NO_EVIDENCE


def test_a_running_scan_is_not_called_untested_because_it_runs(untested):
    detection = open_run(untested).detection
    running = limited(detection, [Limitation("incomplete_scan", "Only 8 of 120 were scanned.", "Finish.", True)])
    (unknown,) = (one for one in detection.obstacles if one.kind == "not_finetuned")
    assert outcome.so_far(running) == f"So far: 0 of 120 samples flagged. {unknown.reason}"
    known = [one for one in running.limitations if one.kind != "not_finetuned"]
    tuned = limited(running.__class__(**{**vars(running), "limitations": ()}), known)
    assert outcome.so_far(tuned) == "So far: 0 of 120 samples flagged."


def test_what_a_scan_will_be_is_said_before_it_starts(tmp_path):
    def expected(adapter, tuned=False):
        return obstacles.expected_obstacle(str(adapter), tuned, lambda: "mine")

    def adapter(name, **card):
        (tmp_path / name).mkdir()
        (tmp_path / name / CARD).write_text(json.dumps({"settings": {"epochs": 3}, **card}))
        return tmp_path / name

    (tmp_path / "bare").mkdir()
    assert expected("") == "not_finetuned"
    assert expected("", tuned=True) == ""
    assert expected(tmp_path / "bare") == "unknown_adapter"
    assert expected(adapter("other", data_digest="theirs")) == "other_data"
    assert expected(adapter("right", data_digest="mine")) == ""
    assert expected(adapter("short", data_digest="mine", settings={"epochs": 0.2})) == "short_training"
    assert expected("owner/adapter") == "", "its card is known after the download"
    assert "data-tab='clean'" in obstacles.expected_html("not_finetuned")
    assert obstacles.expected_html("") == ""


def test_a_cleaning_that_could_not_test_says_why_and_what_to_do():
    result = {"verdict": NOT_TESTED, "flagged": 0, "samples": 30, "models": {}, "not_tested": ["Only <30>. Do --x."]}
    job = type("Job", (), {"result": lambda _: result})()
    html = re.sub("</?(?:p|ul|li).*?>", " ", stages_card._results(job))
    assert "Not tested." in html
    assert "Only &lt;30&gt;." in html
    assert "start a new cleaning" in html
    assert stages_card.STATES["untested"] != stages_card.STATES["skipped"]
