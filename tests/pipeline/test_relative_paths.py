"""A run made with relative paths is opened from another folder."""

import os
from pathlib import Path

import pytest

from bye_core import pipeline, runs
from bye_core.pipeline.check import ScannedPathMissing
from tests import made_run


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A run of a data set that is named relative to the folder `here`."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    data = made_run.make_data(here / "set", 6)
    path = made_run.make_run(here, samples=6)
    relative, digest = os.path.relpath(data, here), pipeline.ready(data).digest
    more = runs.relative_paths(data=relative)
    runs.edit_settings(path, data=relative, data_digest=digest, format="llava", more=more)
    return path


def test_the_data_set_is_found_from_another_folder(run, tmp_path, monkeypatch):
    assert runs.Run.open(run).settings.more["relative"] == ["data"]
    assert runs.Run.open(run).settings.data == "set/data.json"
    (tmp_path / "elsewhere/set").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = runs.Run.open(run).settings
    assert pipeline.reopen_set(settings).digest == settings.data_digest


def test_a_missing_data_set_says_what_its_path_is_relative_to(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here/set").rename(tmp_path / "moved")
    settings = runs.Run.open(run).settings
    with pytest.raises(ScannedPathMissing, match=f"relative to {tmp_path / 'here'}, where the scan ran"):
        pipeline.reopen_set(settings)
    assert pipeline.reopen_set(settings, tmp_path / "moved").digest == settings.data_digest


def test_only_relative_paths_of_files_are_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    found = runs.relative_paths(model="model", adapter=None, data="owner/name")
    assert found == {"folder": str(tmp_path), "relative": ["model"]}
    assert runs.relative_paths(model=str(tmp_path / "model"), data="owner/name") == {}
