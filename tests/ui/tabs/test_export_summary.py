"""What an export would take out, in words and numbers."""

import re

from bye_core import pipeline
from bye_core.pipeline import ExportPlan
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.tabs.export import summary

ROWS = (
    {"id": "a", "index": 0, "reason": "flagged and rejected", "score": 0.99, "reviewer": "ana", "note": "a <b>dot</b>"},
    {"id": "b", "index": 1, "reason": "rejected by hand", "score": None},
    {"id": "c", "index": 2, "reason": "not scanned: the scan has not reached it"},
    {"id": "d", "index": 3, "reason": "unusable: c.png is missing."},
)


def test_the_summary_names_every_group():
    counts = summary.count(ExportPlan(("e", "f", "g"), ROWS[:2] * 2, ("f",), ("e", "g")))
    html = re.sub("<.*?>", "", summary.summary(counts, None))
    for words in ("3 kept", "4 removed", "2 flagged and rejected", "2 rejected by hand", "2 flagged but accepted"):
        assert words in html
    assert "1 flagged and undecided: kept until rejected" in html


def test_groups_come_in_a_fixed_order_and_only_where_there_are_any():
    counts = summary.count(ExportPlan((), tuple(reversed(ROWS)), (), ()))
    assert counts.reasons == {"flagged and rejected": 1, "rejected by hand": 1, "not scanned": 1, "unusable": 1}
    assert (counts.kept, counts.removed, counts.rejected) == (0, 4, 2)
    assert summary.count(ExportPlan(("a",), (), (), ())).reasons == {}


def test_a_run_that_was_never_judged_says_what_to_do_first():
    counts = summary.count(ExportPlan(("a",), (), (), ()))
    assert "Run a detection in Layers first" in summary.summary(counts, None)


def test_the_table_escapes_what_people_wrote_and_pages():
    plan = ExportPlan((), ROWS * 10, (), ())
    assert summary.pages(plan) == 2
    page = summary.removed_table(plan, {}, 0)
    assert page.count("<tr>") == 1 + summary.PAGE
    assert "a &lt;b&gt;dot&lt;/b&gt;" in page
    assert "<b>dot" not in page
    assert "No record is removed" in summary.removed_table(ExportPlan(("a",), (), (), ()), {}, 0)


def test_numbers_of_a_run_add_up_and_are_those_of_the_export(run, run_path, tmp_path):
    flagged = run.detection().flagged_ids
    other = next(id for id in run.detection().ids if id not in flagged)
    pipeline.decide(run_path, {flagged[0]: "reject", flagged[1]: "accept", other: "reject"})
    plan, samples = export_job.plan(run)
    counts = summary.count(plan)
    assert (counts.kept, counts.removed, counts.undecided, counts.accepted) == (118, 2, len(flagged) - 2, 1)
    assert counts.reasons == {"flagged and rejected": 1, "rejected by hand": 1}
    assert "Backdoor Attack!" in summary.removed_table(plan, samples, 0)

    manifest = pipeline.export_run(run_path, tmp_path / "out")
    assert manifest["counts"]["kept"] == counts.kept
    assert manifest["counts"]["removed"] == counts.removed
    assert manifest["counts"]["undecided_flagged"] == counts.undecided
