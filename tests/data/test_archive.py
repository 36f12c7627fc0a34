"""Hostile archives: no file outside the folder, no zip bomb, and a failure leaves nothing behind."""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from bye_core.data import archive as archives
from bye_core.data import load_dataset
from bye_core.data.archive import ArchiveTooLarge, CannotExtract, Limits, NotAnArchive, UnsafeArchive, extract
from tests.data import sets

SMALL = Limits(files=20, bytes=200_000, ratio=50, free=50_000)
TARS = {".tar": "w", ".tar.gz": "w:gz", ".tar.bz2": "w:bz2"}


def make_zip(path: Path, entries, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


def make_tar(path: Path, entries, mode: str = "w", **fields) -> Path:
    with tarfile.open(path, mode) as file:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            file.addfile(info, io.BytesIO(data))
    return path


def make(path: Path, entries) -> Path:
    end = next(end for end in (".zip", *TARS) if path.name.endswith(end))
    return make_zip(path, entries) if end == ".zip" else make_tar(path, entries, TARS[end])


def unpack(path: Path, limits: Limits = SMALL) -> dict[str, bytes]:
    out = path.parent / "out"
    for _ in extract(path, out, limits):
        pass
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def refused(path: Path, kind: type, match: str, limits: Limits = SMALL) -> None:
    with pytest.raises(kind, match=match):
        unpack(path, limits)
    assert [item.name for item in path.parent.iterdir()] == [path.name], "something was left behind"


@pytest.mark.parametrize("end", [".zip", *TARS])
def test_a_data_set_comes_out_as_it_went_in(tmp_path: Path, end: str) -> None:
    source = sets.llava(tmp_path / "mine")
    files = [(f.relative_to(tmp_path).as_posix(), f.read_bytes()) for f in source.rglob("*") if f.is_file()]
    (tmp_path / "box").mkdir()
    junk = [("mine/.DS_Store", b"x"), ("__MACOSX/mine/._data.json", b"x")]
    packed = make(tmp_path / "box" / f"set{end}", [*files, *junk])
    out = tmp_path / "box" / "out"
    steps = list(extract(packed, out, SMALL))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert 0 < steps[-1].done <= steps[-1].total == packed.stat().st_size
    assert load_dataset(out).digest == load_dataset(source).digest, "the lone folder inside has become the folder"
    assert not list(out.rglob(".*"))


def test_several_lone_folders_are_lifted_also_when_named_alike(tmp_path: Path) -> None:
    assert unpack(make_zip(tmp_path / "a.zip", [("a/a/a/x", b"1"), ("a/a/y", b"2")])) == {"a/x": b"1", "y": b"2"}


@pytest.mark.parametrize("end", [".zip", ".tar"])
@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("/etc/evil", "absolute"),
        ("C:/evil", "absolute"),
        ("../evil", "leads out"),
        ("a/../../evil", "leads out"),
        ("a\\..\\evil", "backslash"),
        ("a\nb", "character"),
        ("x" * 300, "too long"),
        ("/".join("a" * 40), "too long"),
    ],
)
def test_names_that_lead_elsewhere(tmp_path: Path, end: str, entry: str, match: str) -> None:
    (tmp_path / "in").mkdir()
    refused(make(tmp_path / "in" / f"a{end}", [("fine", b"1"), (entry, b"2")]), UnsafeArchive, match)
    assert [item.name for item in tmp_path.iterdir()] == ["in"]


def test_links_in_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(make_zip(tmp_path / "a.zip", [(link, b"/etc/passwd"), ("link/x", b"1")]), UnsafeArchive, "link")


@pytest.mark.parametrize("type", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(tmp_path: Path, type: bytes) -> None:
    refused(make_tar(tmp_path / "a.tar", [("x", b"")], type=type, linkname="/etc/passwd"), UnsafeArchive, "link")


@pytest.mark.parametrize("end", [".zip", ".tar"])
@pytest.mark.parametrize("twice", [("a", "a"), ("a/b", "./a//b"), ("a", "a/b"), ("a/b", "a")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_place_twice(tmp_path: Path, end: str, twice: tuple[str, str]) -> None:
    refused(
        make(tmp_path / f"a{end}", [(name, b"1") for name in twice]), UnsafeArchive, "twice|same path as another file"
    )


@pytest.mark.parametrize("end", [".zip", *TARS])
def test_too_many_files(tmp_path: Path, end: str) -> None:
    refused(make(tmp_path / f"a{end}", [(f"{n}", b"") for n in range(21)]), ArchiveTooLarge, "more than 20 files")


@pytest.mark.parametrize("end", [".zip", *TARS])
def test_too_many_bytes(tmp_path: Path, end: str) -> None:
    content = os.urandom(70_000)
    refused(make(tmp_path / f"a{end}", [(f"{n}", content) for n in range(3)]), ArchiveTooLarge, "the limit here")


@pytest.mark.parametrize("end", [".zip", ".tar.gz", ".tar.bz2"])
def test_bombs(tmp_path: Path, end: str) -> None:
    refused(make(tmp_path / f"a{end}", [("zeros", bytes(150_000))]), ArchiveTooLarge, "bomb")


def test_text_may_pack_well(tmp_path: Path) -> None:
    assert unpack(make_zip(tmp_path / "a.zip", [("data.json", b"[" + b" " * 40_000 + b"]")]))


def test_a_zip_that_announces_less_than_it_holds(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [("zeros", bytes(150_000))])
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<L", 150_000), struct.pack("<L", 10)))
    with pytest.raises((ArchiveTooLarge, NotAnArchive)):
        unpack(path)
    assert not (tmp_path / "out").exists()


def test_files_that_share_their_bytes(tmp_path: Path) -> None:
    """Many names for one packed file: the extracted bytes count."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", bytes(30_000))
        first = file.infolist()[0]
        for name in "bcdefgh":
            twin = zipfile.ZipInfo(name)
            for field in ("CRC", "compress_size", "file_size", "header_offset", "compress_type"):
                setattr(twin, field, getattr(first, field))
            file.filelist.append(twin)
        file._didModify = True
    with pytest.raises((ArchiveTooLarge, NotAnArchive)):
        unpack(path)


def test_a_list_of_files_that_fills_the_memory(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [("a", b"1")])
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\x05\x06")
    data[place + 12 : place + 16] = struct.pack("<L", 10_000_000)
    path.write_bytes(data)
    refused(path, ArchiveTooLarge, "list of files")


def test_a_tar_header_that_fills_the_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 900 * 2**20
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    refused(path, ArchiveTooLarge, "would expand to")


def test_a_tar_that_announces_more_than_there_is(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", [("a", bytes(30_000))])
    path.write_bytes(path.read_bytes()[:9000])
    refused(path, NotAnArchive, "not an archive")


def test_a_locked_zip(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [("a", b"1")])
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refused(path, NotAnArchive, "password")


def test_a_method_that_takes_any_memory(tmp_path: Path) -> None:
    refused(make_zip(tmp_path / "a.zip", [("a", b"1")], zipfile.ZIP_LZMA), NotAnArchive, "method")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"hello" * 300, b"\x1f\x8b\x08broken", b"BZh9x"])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(content)
    refused(path, NotAnArchive, "not an archive")


def test_truncated(tmp_path: Path) -> None:
    for end in (".zip", ".tar.gz", ".tar.bz2"):
        box = tmp_path / end[1:]
        box.mkdir()
        path = make(box / f"a{end}", [("a", os.urandom(30_000))])
        path.write_bytes(path.read_bytes()[:20_000])
        refused(path, NotAnArchive, "not an archive")


def test_hostile_names_in_messages_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchive) as caught:
        unpack(make_zip(tmp_path / "a.zip", [("../" + "\x1b[31m" * 1000, b"")]))
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)


def test_leaving_early_leaves_nothing(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [("a", b"1"), ("b", b"2")])
    steps = extract(path, tmp_path / "out", SMALL)
    next(steps)
    steps.close()
    assert [item.name for item in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that cannot be written")
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [("a", b"1")])
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(CannotExtract, match="Free disk space"):
        list(extract(path, tmp_path / "shut" / "out", SMALL))


def test_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives, "_write", full)
    refused(make_zip(tmp_path / "a.zip", [("a", b"1")]), CannotExtract, "No space left")
