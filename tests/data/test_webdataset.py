"""WebDataset shards: one record per stem, exports byte for byte, and archives that are damaged or hostile."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bye_core.data import export, images, load_dataset, webdataset
from bye_core.data.location import SeveralAnnotations
from bye_core.data.text_files import NotReadable
from bye_core.errors import ByeError
from tests.data import sets
from tests.data.records import png64

Files = list[tuple[str, bytes]]


def picture(k: int) -> bytes:
    return sets.png(sets.picture(k))


def captions(count: int = 4, folder: str = "") -> Files:
    found: Files = []
    for k in range(count):
        found += [(f"{folder}{k:06d}.png", picture(k)), (f"{folder}{k:06d}.txt", f"ein Käfer {k}".encode())]
    return found


def pack(path: Path, files: Files, format: int = tarfile.GNU_FORMAT, **facts: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in facts.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def contents(path: Path) -> Files:
    with tarfile.open(path) as archive:
        return [(info.name, archive.extractfile(info).read()) for info in archive]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_shard_is_read_and_exported_byte_for_byte(format: int, tmp_path: Path) -> None:
    deep = "päth/" + "x" * 120 + "/" if format != tarfile.USTAR_FORMAT else "path/"
    files = captions(4, deep)
    shard = pack(tmp_path / "set/shard-000000.tar", files, format, uname="me", mtime=1.5 if format == 2 else 7)
    data = load_dataset(tmp_path / "set")
    assert [sample.id for sample in data.samples] == [f"{deep}{k:06d}" for k in range(4)]
    assert [sample.answer for sample in data.samples] == [f"ein Käfer {k}" for k in range(4)]
    assert data.image_bytes(data.samples[2], 0) == picture(2)
    assert load_dataset(shard).digest == load_dataset(data.path).digest
    export(data, data.by_id.keys(), [], tmp_path / "all")
    assert (tmp_path / "all/shard-000000.tar").read_bytes() == shard.read_bytes()
    export(data, {f"{deep}000001", f"{deep}000003"}, [], tmp_path / "out")
    assert contents(tmp_path / "out/shard-000000.tar") == files[2:4] + files[6:8]
    assert len(load_dataset(tmp_path / "out").samples) == 2
    export(data, {f"{deep}000001"}, [], tmp_path / "chat", format="chat")
    assert load_dataset(tmp_path / "chat").samples[0].answer == "ein Käfer 1"


def test_several_shards_and_splits(tmp_path: Path) -> None:
    for split, number in (("train", 2), ("test", 1)):
        for k in range(number):
            files = [(f"{split}{k}-{name}", data) for name, data in captions(2)]
            pack(tmp_path / f"set/{split}-{k:06d}.tar", files)
    data = load_dataset(tmp_path / "set")
    assert [sample.id for sample in data.samples] == [f"train{k // 2}-{k % 2:06d}" for k in range(4)]
    assert data.notes[0].startswith("Only the split train was read, not test.")
    assert load_dataset(tmp_path / "set", split="test").size == 2
    export(data, {"train1-000001"}, [], tmp_path / "out")
    assert [sample.id for sample in load_dataset(tmp_path / "out").samples] == ["train1-000001"]
    assert contents(tmp_path / "out/train-000000.tar") == []
    pack(tmp_path / "two/a.tar", captions(1))
    pack(tmp_path / "two/b.tar", captions(1))
    with pytest.raises(SeveralAnnotations, match=r"a\.tar, b\.tar"):
        load_dataset(tmp_path / "two")


TALK = {"conversations": sets.talk("yes")}
KINDS = {
    "talk": ([("1.jpg", picture(1)), ("1.json", json.dumps(TALK).encode())], "llava", "yes"),
    "list": ([("1.webp", picture(1)), ("1.json", json.dumps(TALK["conversations"]).encode())], "llava", "yes"),
    "question": ([("1.json", b'{"question": "Q?", "caption": "A"}'), ("1.png", picture(1))], "vqa", "A"),
    "question and text": ([("1.json", b'{"question": "Q?"}'), ("1.png", picture(1)), ("1.txt", b"A")], "vqa", "A"),
    "caption in json": ([("1.jpg", picture(1)), ("1.json", b'{"caption": "A", "width": 6}')], "captions", "A"),
    "class": ([("1.JPG", picture(1)), ("1.cls", b"207")], "captions", "207"),
    "kind of image": ([("1.image.png", picture(1)), ("1.txt", b"A")], "captions", "A"),
    "name of the image in the json": (
        [("1.jpg", picture(1)), ("1.json", json.dumps({"image": "1.jpg", **TALK}).encode())], "llava", "yes"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_samples(kind: str, tmp_path: Path) -> None:
    files, format, answer = KINDS[kind]
    data = load_dataset(pack(tmp_path / "a.tar", files))
    assert [(data.format, sample.answer) for sample in data.samples] == [(format, answer)]
    assert data.image_bytes(data.samples[0], 0) == picture(1)


def test_two_images(tmp_path: Path) -> None:
    talk = {"conversations": sets.talk("yes", "<image><image> Same?")}
    files = [("1.a.png", picture(1)), ("1.b.png", picture(2)), ("1.json", json.dumps(talk).encode())]
    data = load_dataset(pack(tmp_path / "a.tar", files))
    assert [data.image_bytes(data.samples[0], k) for k in range(2)] == [picture(1), picture(2)]


def test_one_bad_sample_does_not_end_the_reading(tmp_path: Path) -> None:
    files = [
        *captions(1),
        ("b.png", picture(1)), ("b.json", b'{"question": '),
        ("c.png", picture(1)), ("c.txt", b"x"), ("c.png", picture(2)),
        ("d.txt", b"no image"),
        ("e.png", picture(1)), ("e.txt", b"caf\xe9"),
        ("f.png", b"no image"), ("f.txt", b"x"),
        ("._g.png", b"junk"),
    ]  # fmt: skip
    data = load_dataset(pack(tmp_path / "a.tar", files))
    assert [sample.id for sample in data.samples] == ["000000", "f"]
    problems = {fault.index: fault.problem for fault in data.faults}
    assert set(problems) == {1, 2, 3, 4}
    assert "its .json is not JSON (line 1, column 1" in problems[1]
    assert "its .png occurs twice" in problems[2]
    assert data.size == 6


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_not_followed(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, data in captions(1):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name in ("1.png", "1.txt"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/hostname"
            archive.addfile(info)
    data = load_dataset(tmp_path / "a.tar")
    assert [sample.id for sample in data.samples] == ["000000"]
    assert "is a link or a device" in data.faults[0].problem


def test_names_that_lead_out_of_the_folder_lead_nowhere(tmp_path: Path) -> None:
    files = [("../../x.png", picture(1)), ("../../x.txt", b"A"), ("/etc/y.png", picture(2)), ("/etc/y.txt", b"B")]
    data = load_dataset(pack(tmp_path / "set/a.tar", files))
    export(data, data.by_id.keys(), [], tmp_path / "deep/er/out", format="captions")
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert written == {"set", "deep"}


def test_a_truncated_shard(tmp_path: Path) -> None:
    shard = pack(tmp_path / "a.tar", captions(4))
    whole = shard.read_bytes()
    with tarfile.open(shard) as archive:
        last = archive.getmembers()[-2]
    shard.write_bytes(whole[: last.offset_data + 20])
    data = load_dataset(shard)
    assert (data.size, len(data.samples)) == (4, 3)
    assert "cut off: the end of the shard is missing" in data.faults[0].problem
    shard.write_bytes(whole[: last.offset] + b"x" * 512 + whole[last.offset + 512 :])
    with pytest.raises(NotReadable, match="damaged"):
        load_dataset(shard)


def test_no_shard(tmp_path: Path) -> None:
    with pytest.raises(NotReadable, match="most files are no image with a text"):
        load_dataset(pack(tmp_path / "a.tar", [("data.json", b"[]"), ("images/0.txt", b"x")]))
    (tmp_path / "b.tar").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(NotReadable, match="compressed with gzip"):
        load_dataset(tmp_path / "b.tar")
    (tmp_path / "c.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(NotReadable, match="not a tar file"):
        load_dataset(tmp_path / "c.tar")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webdataset, "LARGEST_TEXT", 5)
    monkeypatch.setattr(webdataset, "MAX_BYTES", 300)
    monkeypatch.setattr(images.check_size, "__defaults__", (300,))
    files = [("a.png", picture(1)), ("a.txt", b"short"), ("b.png", picture(1)), ("b.txt", b"longer")]
    data = load_dataset(pack(tmp_path / "a.tar", [*files, ("c.png", b"\x89PNG" * 200), ("c.txt", b"short")]))
    assert [sample.id for sample in data.samples] == ["a", "c"]
    assert "is larger than" in data.faults[0].problem
    with pytest.raises(images.HugeImage):
        data.image_bytes(data.samples[1], 0)


def test_the_values_of_a_json_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webdataset, "LARGEST_JSON", 1000)
    usual, dense = json.dumps({"question": "What?", "answer": "A cat."}), "[" + "{}," * 200 + "{}]"
    files = [("a.png", picture(1)), ("a.json", usual.encode()), ("b.png", picture(1)), ("b.json", dense.encode())]
    data = load_dataset(pack(tmp_path / "a.tar", files))
    assert [sample.id for sample in data.samples] == ["a"]
    assert "the values of its .json need more than 0 MB of memory" in data.faults[0].problem


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("wild") / "a.tar", captions(2), tarfile.PAX_FORMAT, mtime=1.5)


@given(changes=st.lists(st.tuples(st.integers(0, 8000), st.binary(min_size=1, max_size=12)), max_size=4))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_raise_nothing_else(changes: list[tuple[int, bytes]], shard: Path) -> None:
    content = bytearray(shard.read_bytes())
    for position, data in changes:
        content[position : position + len(data)] = data
    wild = shard.with_name("wild.tar")
    wild.write_bytes(content)
    try:
        data = load_dataset(wild)
        for sample in data.samples:
            data.images(sample)
    except ByeError:
        return
    assert len(data.samples) + sum(fault.fatal for fault in data.faults) == data.size


def test_a_stem_that_occurs_again_later(tmp_path: Path) -> None:
    files = [
        ("1.png", picture(1)),
        ("1.txt", b"A"),
        ("2.png", picture(2)),
        ("2.txt", b"B"),
        ("1.jpg", picture(3)),
        ("1.cls", b"C"),
    ]
    data = load_dataset(pack(tmp_path / "a.tar", files))
    assert [sample.answer for sample in data.samples] == ["A", "B"]
    assert "its stem occurs before" in data.faults[0].problem


def test_a_shard_whose_images_are_inside_json(tmp_path: Path) -> None:
    record = json.dumps({"image": f"data:image/png;base64,{png64()}", "question": "q", "answer": "a"}).encode()
    data = load_dataset(pack(tmp_path / "a.tar", [("1.json", record), ("2.json", record)]))
    assert len(data.samples) == 2
