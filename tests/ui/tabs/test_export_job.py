"""Exports of a workspace: in the background, as archives, within bounds."""

import json
import zipfile

import pytest

from bye_core import pipeline
from bye_core.data.hub import BadRepository, NoConnection, NothingToPush, NoToken, push
from bye_core.ui.shared.exports import FIRST_LINES, BadName, export_names, export_path, find_export
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.workspace import new_token, workspace_of


@pytest.fixture
def workspace(run_path):
    pipeline.decide(run_path, reject_flagged=True, reviewer="ana")
    return workspace_of("")


def test_an_export_is_found_again_with_its_manifest_and_first_lines(workspace, run_path):
    assert find_export(workspace, "made") is None
    assert export_job.start(workspace, run_path, "made", "same").result() == find_export(workspace, "made").manifest
    found = find_export(workspace, "made")
    assert export_names(workspace) == ("made",)
    rows = [json.loads(line) for line in found.first_removed.splitlines()]
    assert len(rows) == FIRST_LINES
    assert {row["reviewer"] for row in rows} == {"ana"}


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "-rf", ".hidden", "a b", "x" * 81])
def test_names_never_lead_out_of_the_workplace(workspace, run_path, name):
    with pytest.raises(BadName):
        export_job.start(workspace, run_path, name, "same")


def test_the_archive_holds_what_stays_and_is_made_once(workspace, run_path, poisoned, tmp_path):
    export_job.start(workspace, run_path, "made", "same").result()
    *_, last = export_job.pack(workspace, "made", tmp_path / "cache")
    path = last.facts["path"]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        records = json.loads(archive.read("made/data.json"))
        removed = [json.loads(line) for line in archive.read("made/removed.jsonl").splitlines()]
    assert {record["id"] for record in records}.isdisjoint(poisoned)
    assert {row["id"] for row in removed} == poisoned
    assert len(records) + len(removed) == 120

    *_, again = export_job.pack(workspace, "made", tmp_path / "cache")
    assert again.facts["path"] == path
    export_job.start(workspace, run_path, "made", "vqa").result()
    *_, anew = export_job.pack(workspace, "made", tmp_path / "cache")
    assert anew.facts["path"] != path
    assert not path.exists()


def test_an_archive_that_is_given_up_leaves_nothing(workspace, run_path, tmp_path):
    export_job.start(workspace, run_path, "made", "same").result()
    steps = export_job.pack(workspace, "made", tmp_path / "cache")
    next(steps)
    steps.close()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_public_host_bounds_exports_and_takes_no_paths(home, run_path, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    workspace = workspace_of(new_token())
    for number in range(export_job.MOST_EXPORTS):
        export_job.start(workspace, run_path, f"e{number}", "same").result()
    export_job.start(workspace, run_path, "e0", "same").result()
    with pytest.raises(export_job.TooManyExports, match="e0"):
        export_job.start(workspace, run_path, "another", "same")
    with pytest.raises(NotHere):
        export_job.start(workspace, run_path, "e0", "same", data="/etc")
    assert str(home) not in export_job.command(run_path, export_path(workspace, "e0"), "same")


def test_pushing_needs_a_token_a_name_and_an_export(workspace, run_path):
    export_job.start(workspace, run_path, "made", "same").result()
    folder = export_path(workspace, "made")
    with pytest.raises(NoToken):
        push(folder, "me/set", "  ")
    for name in ("set", "a/b/c", "../x", "me/--x", "me/ x"):
        with pytest.raises(BadRepository):
            push(folder, name, "hf_secret")
    with pytest.raises(NothingToPush):
        push(run_path, "me/set", "hf_secret")


def test_without_a_network_the_error_says_so_and_never_holds_the_token(workspace, run_path, monkeypatch):
    from huggingface_hub import HfApi

    def fails(self, *_, **__):
        raise ConnectionError(f"no route for {self.token}\nmore")

    monkeypatch.setattr(HfApi, "create_repo", fails)
    export_job.start(workspace, run_path, "made", "same").result()
    with pytest.raises(NoConnection) as raised:
        push(export_path(workspace, "made"), "me/set", "hf_secret")
    assert "hf_secret" not in str(raised.value)
    assert raised.value.__suppress_context__
