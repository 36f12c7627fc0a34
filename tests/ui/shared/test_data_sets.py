"""Which data set is meant: paths of one's own machine, uploads, the hub; what a public host refuses."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bye_core.data import archive
from bye_core.errors import ByeError
from bye_core.ui.shared import data_sets, limits
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.workspace import new_token, workspace_of
from tests.made_run import make_data


@pytest.fixture
def place(home):
    return workspace_of("")


@pytest.fixture
def public(home, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    free_disk(monkeypatch, 50 * 10**9)
    return workspace_of(new_token())


def free_disk(monkeypatch, free: int) -> None:
    monkeypatch.setattr(data_sets.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


def packed(folder: Path, samples: int = 6) -> Path:
    data = make_data(folder / "pack", samples).parent
    with zipfile.ZipFile(folder / "my set.v2.zip", "w") as file:
        for item in data.rglob("*"):
            file.write(item, item.relative_to(folder))
    return folder / "my set.v2.zip"


def uploaded(place, file: Path) -> str:
    return list(data_sets.upload(place, file, file.name))[-1].facts["key"]


def test_a_path_is_opened_remembered_and_read_the_same_way_again(place, tmp_path):
    data = make_data(tmp_path / "d", 5)
    key = data_sets.key_of(f" '{data}' ")
    choice = data_sets.find(place, key)
    assert data_sets.open_set(place, choice).size == 5
    data_sets.remember(place, replace(choice, format="llava", columns={"id": "id"}, ready=5))
    again = data_sets.find(place, key)
    assert (again.format, dict(again.columns), again.ready) == ("llava", {"id": "id"}, 5)
    assert [one.key for one in data_sets.recent(place)] == [str(data)]
    data.unlink()
    assert data_sets.recent(place) == (), "what is gone is not offered"


def test_a_set_is_read_once_until_its_file_changes(place, tmp_path):
    data = make_data(tmp_path / "d", 5)
    choice = Choice(str(data.parent))
    assert data_sets.open_set(place, choice) is data_sets.open_set(place, choice)
    data.write_text(json.dumps(json.loads(data.read_text())[:3]))
    assert data_sets.open_set(place, choice).size == 3


def test_uploads_get_names_of_their_own_and_can_be_removed(place, tmp_path):
    file = packed(tmp_path)
    first, second = uploaded(place, file), uploaded(place, file)
    assert (first, second) == ("my-set-v2", "my-set-v2-2")
    assert data_sets.open_set(place, Choice(second)).size == 6
    for key in (first, second):
        data_sets.remember(place, Choice(key))
    data_sets.remove(place, first)
    assert not (place.data / first).exists()
    assert [one.key for one in data_sets.recent(place)] == [second]


def test_removing_never_touches_files_of_ones_own(place, tmp_path):
    data = make_data(tmp_path / "d", 2)
    data_sets.remember(place, Choice(str(data)))
    data_sets.remove(place, str(data))
    assert data_sets.recent(place) == ()
    assert data.exists()


def test_what_cannot_be_an_upload(place, tmp_path):
    (tmp_path / "set.exe").write_bytes(b"x")
    with pytest.raises(data_sets.NotUploadable):
        uploaded(place, tmp_path / "set.exe")
    (tmp_path / "bad.zip").write_bytes(b"x")
    with pytest.raises(archive.NotAnArchive):
        uploaded(place, tmp_path / "bad.zip")
    assert not place.data.exists() or not list(place.data.iterdir())


@pytest.mark.parametrize("text", ["/etc/passwd", "~/x", "../x", "tests/ui", "x", "C:\\x", "a/b/c", "bye_core/ui"])
def test_a_public_host_opens_no_path(public, text):
    with pytest.raises(NotHere):
        data_sets.key_of(text)
    with pytest.raises((NotHere, data_sets.NoSuchSet)):
        data_sets.path_of(public, Choice(text))
    assert data_sets.key_of("owner/some-set") == "owner/some-set"


def test_a_public_host_keeps_visitors_apart_and_bounds_them(public, tmp_path, monkeypatch):
    file = packed(tmp_path)
    key = uploaded(public, file)
    with pytest.raises(data_sets.NoSuchSet):
        data_sets.path_of(workspace_of(new_token()), Choice(key))
    uploaded(public, file), uploaded(public, file)
    with pytest.raises(data_sets.TooManySets):
        uploaded(public, file)
    free_disk(monkeypatch, 10**9)
    monkeypatch.setattr(limits, "PUBLIC", replace(limits.PUBLIC, sets=None))
    with pytest.raises(data_sets.DiskFull):
        uploaded(public, file)
    free_disk(monkeypatch, 50 * 10**9)
    tight = replace(limits.PUBLIC, sets=None, archive=archive.Limits(files=3, bytes=10**6))
    monkeypatch.setattr(limits, "PUBLIC", tight)
    with pytest.raises(archive.ArchiveTooLarge):
        uploaded(public, file)


@pytest.mark.parametrize("name", ["../x.json", "/etc/passwd", "a/b.json", "..", "truth.json"])
def test_the_annotation_file_is_one_of_the_folder(place, tmp_path, name):
    with pytest.raises(data_sets.NoSuchSet):
        data_sets.path_of(place, Choice(str(make_data(tmp_path / "d", 2).parent), file=name))


def test_a_broken_list_of_sets_is_an_empty_one(place):
    place.data.mkdir(parents=True)
    for content in ("", "{", "[1]", '[{"nokey": 1}]'):
        (place.data / data_sets.LATEST).write_text(content)
        assert data_sets.recent(place) == ()


def test_nothing_chosen_says_what_to_do(place):
    for call in (lambda: data_sets.find(place, ""), lambda: data_sets.key_of("  ")):
        with pytest.raises(ByeError, match="Choose a data set in the Data tab"):
            call()
