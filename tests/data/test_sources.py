"""Damaged or hostile files: only the records at fault are lost, and no path leads out of the folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bye_core.data import export, load_dataset
from tests.data import sets
from tests.data.records import GOOD, faults_of, load


def test_lines_that_cannot_be_parsed(tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    line = json.dumps(GOOD).encode()
    bad = [b'{"id": ', b"[" * 100_000, b"\xff\xfe", b'{"id": %s}' % (b"9" * 5000)]
    (tmp_path / "data.jsonl").write_bytes(b"\n".join([line, *bad]))
    data = load_dataset(tmp_path)
    assert [sample.id for sample in data.samples] == ["good"]
    assert [fault.index for fault in data.faults if fault.kind == "MalformedRecord"] == [1, 2, 3, 4]
    assert data.record(1) == '{"id": \n'


def test_bytes_that_are_not_utf8_are_kept_and_refused(tmp_path: Path) -> None:
    sets.pictures(tmp_path / "set")
    rows = b"image,question,answer\r\nimages/0.png,caf\xe9?,yes\r\nimages/1.png,tea?,no\r\nimages/1.png,short\r\n"
    (tmp_path / "set/vqa.csv").write_bytes(rows)
    data = load_dataset(tmp_path / "set")
    assert faults_of(data) == [("record-000000", "BadText"), ("record-000002", "MalformedRecord")]
    assert data.record(2) == "images/1.png,short\r\n"
    export(data, {"record-000001"}, [], tmp_path / "out")
    assert (tmp_path / "out/vqa.csv").read_bytes() == b"image,question,answer\r\nimages/1.png,tea?,no\r\n"


def test_an_endless_csv_cell_affects_only_its_part(tmp_path: Path) -> None:
    sets.pictures(tmp_path)
    good = "images/0.png,What?,cat\n"
    (tmp_path / "vqa.csv").write_text(
        "image,question,answer\n" + good + 'images/0.png,"' + "x\n" * 100_000 + '"\n' + good
    )
    data = load_dataset(tmp_path)
    assert data.samples[0].answer == data.samples[-1].answer == "cat"
    assert all(fault.kind == "MalformedRecord" for fault in data.faults)


def test_links(tmp_path: Path) -> None:
    sets.pictures(tmp_path / "outside", 1)
    data_folder = tmp_path / "set"
    sets.pictures(data_folder, 2)
    (data_folder / "out.png").symlink_to(tmp_path / "outside/images/0.png")
    (data_folder / "nowhere.png").symlink_to(tmp_path / "outside/none.png")
    (data_folder / "loop.png").symlink_to(data_folder / "loop.png")
    (data_folder / "folder").symlink_to(tmp_path / "outside")
    (data_folder / "inside.png").symlink_to(data_folder / "images/0.png")
    os.mkfifo(data_folder / "pipe.png")
    names = ["out.png", "nowhere.png", "loop.png", "folder/images/0.png", "folder/none.png", "inside.png", "pipe.png"]
    data = load(data_folder, *({**GOOD, "id": name, "image": name} for name in names))
    outside = "ImageOutsideDataset"
    assert faults_of(data) == [
        ("out.png", outside),
        ("nowhere.png", outside),
        ("loop.png", "MissingImage"),
        ("folder/images/0.png", outside),
        ("folder/none.png", outside),  # the same as for a file that is there: nothing outside is probed
        ("pipe.png", "MissingImage"),
    ]


def test_parquet_image_paths_stay_in_the_folder(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = sets.pictures(tmp_path, 2)
    cells = [
        {"bytes": sets.png(), "path": "/etc/hostname"},  # with bytes the path is only a name
        {"bytes": None, "path": names[1]},
        {"bytes": None, "path": "/etc/hostname"},
        {"bytes": None, "path": "../x.png"},
        {"bytes": None, "path": "http://example.com/x.png"},
        {"bytes": None, "path": None},
        None,
    ]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    rows = {"id": list(range(7)), "image": pa.array(cells, kind), "question": ["Q"] * 7, "answer": ["A"] * 7}
    pq.write_table(pa.table(rows), tmp_path / "vqa.parquet")
    data = load_dataset(tmp_path)
    assert data.format == "vqa"
    assert [sample.id for sample in data.samples] == ["0", "1"]
    assert data.samples[1].images == (names[1],)
    assert [data.images(sample)[0].size for sample in data.samples] == [(6, 5), (6, 5)]
    assert faults_of(data) == [
        ("2", "ImageOutsideDataset"),
        ("3", "ImageOutsideDataset"),
        ("4", "ImageIsUrl"),
        ("5", "MalformedRecord"),
        ("6", "NoImage"),
    ]
    export(data, {"0", "1"}, [], tmp_path / "out")
    assert load_dataset(tmp_path / "out").images(data.samples[1]) == data.images(data.samples[1])
    export(data, {"0", "1"}, [], tmp_path / "chat", format="chat")
    assert load_dataset(tmp_path / "chat").samples[0].images == ("images/000000-0.png",)


def test_parquet_text_that_is_not_utf8(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sets.pictures(tmp_path)
    broken = pa.array([b"fine", b"caf\xe9"]).view(pa.string())
    rows = {"image": ["images/0.png"] * 2, "question": broken, "answer": ["A"] * 2}
    pq.write_table(pa.table(rows), tmp_path / "vqa.parquet")
    data = load_dataset(tmp_path)
    assert faults_of(data) == [("record-000001", "MalformedRecord")]
    assert len(data.samples) == 1
