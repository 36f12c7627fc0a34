"""A path inside the data set's folder is found in every spelling; every other path is refused for its true reason."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bye_core.data import load_dataset
from bye_core.data.path_spellings import ImageIsUrl, ImageOutsideDataset, MissingImage
from bye_core.data.paths import RootFolder
from bye_core.errors import DataError
from tests.data import sets

NAME = "Fotos é/das Bild ü.png"


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def write(root: Path, name: str) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(sets.png())
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "set", NAME)
    write(tmp_path / "set", "images/0.png")
    write(tmp_path, "outside/0.png")
    return tmp_path / "set"


SPELLINGS = {
    "plain": "images/0.png",
    "dot": "./images/./0.png",
    "slashes": "images///0.png",
    "steps back": "images/../images/0.png",
    "steps back twice": "images/../images/../images/0.png",
    "from a folder that is missing": "nothing/../images/0.png",
    "over its own folder": "../set/images/0.png",
    "backslash": "images\\0.png",
    "backslashes": ".\\images\\..\\images\\\\0.png",
    "absolute": "{root}/images/0.png",
    "absolute with steps": "{root}/images/..//./images/0.png",
    "absolute from elsewhere": "/nowhere/..{root}/images/0.png",
    "file URL": "file://{root}/images/0.png",
    "file URL of this computer": "FILE://localhost{root}/images/0.png",
    "file URL with one slash": "file:{root}/images/0.png",
    "relative file URL": "file:images/0.png",
    "file URL without its third slash": "file://images/0.png",
    "percent": "images%2F0.png",
    "percent in a file URL": "file://{root}/%69mages/0.png",
    "blank": " images/0.png\n",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_spellings(spelling: str, root: Path) -> None:
    found = RootFolder(root).locate(spelling.format(root=root))
    assert found.file == root / "images/0.png"
    assert found.name == "images/0.png"
    relative = not spelling.lower().startswith(("file:", "{root}", "/", "../"))
    assert found.portable is relative


@pytest.mark.parametrize(
    "spelling", [NAME, nfd(NAME), nfd("Fotos é") + "/das Bild ü.png", "Fotos%20%C3%A9/das%20Bild%20%C3%BC.png"]
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_normal_forms(spelling: str, form: str, tmp_path: Path) -> None:
    file = write(tmp_path / "set", unicodedata.normalize(form, NAME))
    found = RootFolder(tmp_path / "set").locate(spelling)
    assert found.file == file
    expected = spelling if "%" not in spelling else NAME
    assert found.name == expected, "a copy is put where the record's spelling leads"
    absolute = RootFolder(tmp_path / "set").locate(f"{tmp_path}/set/{spelling}")
    assert absolute.file == file


def test_the_literal_name_comes_first(tmp_path: Path) -> None:
    names = ["a b.png", "a%20b.png", "é.png", nfd("é.png"), "x\\y.png", "x/y.png"]
    files = {name: write(tmp_path, name) for name in names}
    for name, file in files.items():
        assert RootFolder(tmp_path).resolve(name) == file


def test_a_file_that_appears_later_is_found(tmp_path: Path) -> None:
    with pytest.raises(MissingImage):
        RootFolder(tmp_path).resolve("é.png")
    file = write(tmp_path, nfd("é.png"))
    os.utime(tmp_path, ns=(1, 1))
    assert RootFolder(tmp_path).resolve("é.png") == file


def test_a_root_behind_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    for base in (root, tmp_path / "link"):
        assert RootFolder(tmp_path / "link").resolve(f"{base}/images/0.png") == root / "images/0.png"


REFUSED: dict[str, tuple[str, type[DataError], str]] = {
    "absolute": ("/etc/hostname", ImageOutsideDataset, "is outside the data set's folder"),
    "neighbour": ("{root}-2/x.png", ImageOutsideDataset, "outside"),
    "steps": ("images/../../outside/0.png", ImageOutsideDataset, "outside"),
    "steps to nothing": ("../nothing.png", ImageOutsideDataset, "outside"),
    "backslash steps": ("images\\..\\..\\outside\\0.png", ImageOutsideDataset, "outside"),
    "percent steps": ("images/%2e%2e/%2e%2e/outside/0.png", ImageOutsideDataset, "outside"),
    "file URL": ("file:///etc/hostname", ImageOutsideDataset, "outside"),
    "file URL with codes": ("file://{root}/%2e%2e/outside/0.png", ImageOutsideDataset, "outside"),
    "network folder": ("\\\\host\\share\\x.png", ImageOutsideDataset, "outside"),
    "drive": ("C:\\data\\x.png", ImageOutsideDataset, "is a path on a Windows drive"),
    "drive with slashes": ("d:/data/x.png", ImageOutsideDataset, "is a path on a Windows drive"),
    "drive in a URL": ("file:///C:/data/x.png", ImageOutsideDataset, "is a path on a Windows drive"),
    "web": ("HTTPS://x.example/y.png", ImageIsUrl, "is a URL"),
    "bucket": ("s3://bucket/y.png", ImageIsUrl, "is a URL"),
    "data": ("data:image/png;base64,AAAA", ImageIsUrl, "is a data URI"),
    "our own names": ("embedded:000000/0", ImageIsUrl, "is a URL"),
    "missing": ("images/9.png", MissingImage, "is not in the data set's folder."),
    "below a file": ("images/0.png/1.png", MissingImage, "is not in the data set's folder."),
    "case": ("Images/0.PNG", MissingImage, "images/0.png differs from it only in case"),
    "folder": ("images", MissingImage, "is a folder"),
    "the root": (".", MissingImage, "is a folder"),
    "NUL": ("a\0b", MissingImage, "is not in the data set's folder"),
    "long": ("n" * 5000, MissingImage, "is not in the data set's folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_the_true_reason(case: str, root: Path) -> None:
    path, kind, why = REFUSED[case]
    with pytest.raises(kind, match=why) as caught:
        RootFolder(root).resolve(path.format(root=root))
    assert type(caught.value) is kind


def test_links(root: Path, tmp_path: Path) -> None:
    (root / "deep/er").mkdir(parents=True)
    for name, target in {
        "out.png": tmp_path / "outside/0.png",
        "nowhere.png": tmp_path / "outside/none.png",
        "out": tmp_path / "outside",
        "away": tmp_path / "none",
        "loop.png": root / "loop.png",
        "inside": root / "deep/er",
    }.items():
        (root / name).symlink_to(target)
    write(root, "deep/er/0.png")
    write(root, "deep/1.png")
    folder = RootFolder(root)
    for name in ("out.png", "nowhere.png", "out/0.png", "out/none.png", "away/0.png", "out/../images/0.png"):
        with pytest.raises(ImageOutsideDataset) as caught:
            folder.resolve(name)
        if ".." not in name:  # the same text whether or not the file exists outside
            assert f"The image {name} is reached through a link that leads outside" in caught.value.problem
    with pytest.raises(MissingImage, match="circle"):
        folder.resolve("loop.png")
    assert folder.resolve("inside/0.png") == root / "deep/er/0.png"
    with pytest.raises(ImageOutsideDataset, match="through a link and back again"):
        folder.resolve("inside/../1.png")  # trainers open deep/1.png, a path read as a text is 1.png


def test_nothing_outside_is_touched(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, touched = RootFolder(root), []
    for name in ("lstat", "stat", "listdir", "readlink", "scandir"):
        real = getattr(os, name)

        def spy(path: Any, *args: Any, _real: Any = real, **options: Any) -> Any:
            touched.append(os.fspath(path))
            return _real(path, *args, **options)

        monkeypatch.setattr(os, name, spy)
    for path, _, _ in REFUSED.values():
        with pytest.raises(DataError):
            folder.resolve(path.format(root=root))
    assert touched
    assert all(path == str(root) or path.startswith(f"{root}/") for path in touched)


def test_every_spelling_is_a_sample(root: Path) -> None:
    paths = [spelling.format(root=root) for spelling in SPELLINGS.values()]
    records = [{"id": k, "image": path, "conversations": sets.talk("a")} for k, path in enumerate(paths)]
    (root / "data.json").write_text(json.dumps(records))
    data = load_dataset(root)
    assert data.faults == ()
    assert [sample.images for sample in data.samples] == [(path,) for path in paths]
    assert all(data.images(sample)[0].size == (6, 5) for sample in data.samples)


PIECES = [
    "..",
    ".",
    "/",
    "\\",
    "images",
    "0.png",
    "set",
    "%2e",
    "%2F",
    "file:",
    "//",
    "C:",
    "é",
    "e\u0301",
    " ",
    "x",
    ":",
]


@given(pieces=st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12))
def test_no_spelling_leads_outside(pieces: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.getbasetemp() / "wild/set"
    if not root.exists():
        write(root, "images/0.png")
        write(root.parent, "0.png")
    try:
        found = RootFolder(root).locate("".join(pieces))
    except DataError:
        return
    assert found.file == root / "images/0.png"
    assert (root / found.name).resolve() == found.file
