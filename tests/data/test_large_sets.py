"""Large sets: files that are read part by part, and samples that stay in a file until they are asked for."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter

import pytest

from bye_core import pipeline, sample_file
from bye_core.data import check, export, json_source, json_stream, load_dataset, samples, text_files
from bye_core.data.text_files import WrongContent
from bye_core.sample_file import SampleFile, SamplesChanged, ids_of, indices_of
from tests.data import sets

COUNT = 40
RECORDS = [
    {"id": f"k{n}", "image": f"images/{n % 2}.png", "conversations": sets.talk(f"Käfer {n} 🐞" if n % 3 else "cat")}
    for n in range(COUNT)
]
LINES = [json.dumps(record, ensure_ascii=False) for record in RECORDS]
DEEP = '{"id": "deep", "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
TEXTS = {
    "list in one line": json.dumps(RECORDS),
    "list over many lines": json.dumps(RECORDS, indent=1, ensure_ascii=False) + "\n\n",
    "empty list": "[ ]",
    "list with other values": f"[12345, {LINES[0]}, null, {DEEP}, true, {LINES[1]}]",
    "lines": "\n".join(LINES),
    "lines and a damaged one": "\n".join([*LINES[:5], LINES[5][:-9], "", *LINES[6:], DEEP, "12", "x"]) + "\n",
    "lines, one object over several": "\n".join([*LINES[:5], json.dumps(RECORDS[5], indent=1), *LINES[6:]]) + "\n",
}


@pytest.fixture
def large(monkeypatch):
    """Treat every set as a large one."""
    monkeypatch.setattr(text_files, "STAYS_ON_DISK", 0)
    monkeypatch.setattr(samples, "MOST_IN_MEMORY", -1)
    monkeypatch.setattr(json_stream, "CHUNK", 64)


@pytest.fixture
def parsed(monkeypatch):
    """Counts the samples that are made from their lines, and the whole texts that are read."""
    counts: Counter[str] = Counter()
    for module, name in ((sample_file, "_content"), (json_source.JsonSource, "_rows_of")):
        real = getattr(module, name)

        def counted(*arguments, real=real, name=name):
            counts[name] += 1
            return real(*arguments)

        monkeypatch.setattr(module, name, counted)
    return counts


def rows_and_places(path):
    source = json_source.JsonSource(path)
    rows = list(source.rows())
    return rows, source.spans.tolist(), source._kind, [source.record(n) for n in range(len(rows))][:3]


@pytest.mark.parametrize("name", TEXTS)
def test_a_large_file_is_read_in_parts_as_a_small_one_is_read_at_once(tmp_path, name, request):
    path = tmp_path / "data.json"
    path.write_text(TEXTS[name], "utf-8")
    expected = rows_and_places(path)
    counts = request.getfixturevalue("parsed")
    request.getfixturevalue("large")
    assert rows_and_places(path) == expected
    assert counts["_rows_of"] == 0


@pytest.mark.parametrize("text", [TEXTS["lines"][:-9] + "\n\n", "[" + ", ".join(LINES) + ",]", f"[{LINES[0]}] x", "[{"])
def test_an_error_of_a_large_file_is_named_as_that_of_a_small_one(tmp_path, text, request):
    path = tmp_path / "data.json"
    path.write_text(text, "utf-8")

    def outcome():
        try:
            return list(json_source.JsonSource(path).rows())
        except WrongContent as error:
            return str(error)

    expected = outcome()
    request.getfixturevalue("large")
    assert outcome() == expected


MANY_LINES = json.dumps(RECORDS[5], indent=1, ensure_ascii=False)
ODD = {
    "a damaged object over several lines": "\n".join([LINES[0], MANY_LINES + " x", LINES[1], MANY_LINES]),
    "a bad byte in an object over several lines": f"{LINES[0]}\n{MANY_LINES[:-9]}\udcff{MANY_LINES[-9:]}\n",
    "a number, then objects": "12\n{}\n{",
    "a first object that is nested too deeply and cut off": "\n".join(['{"x": ' + "[" * 1500, LINES[0], LINES[1]]),
    "an object whose lines are objects": '{"data":\n[\n' + "\n,\n".join(LINES) + "\n]}",
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_a_large_file_that_is_odd_is_read_as_a_small_one(tmp_path, name, suffix, request, monkeypatch):
    """Also if the parts of the file end anywhere."""
    path = tmp_path / f"data.{suffix}"
    path.write_bytes(ODD[name].encode("utf-8", "surrogateescape"))

    def outcome():
        source = json_source.JsonSource(path, lambda record: "id" in record)
        try:
            return list(source.rows()), source.spans.tolist(), source._kind, source.notes
        except WrongContent as error:
            return str(error)

    expected = outcome()
    request.getfixturevalue("large")
    monkeypatch.setattr(json_stream, "LONGEST_PEEK", 2000)
    for size in (1, 7, 64):
        monkeypatch.setattr(json_stream, "CHUNK", size)
        assert outcome() == expected


def write(folder):
    sets.pictures(folder, 2)
    (folder / "data.json").write_text(TEXTS["list in one line"])
    return load_dataset(folder)


def test_a_sample_is_made_when_it_is_asked_for(tmp_path, large, parsed):
    data = write(tmp_path)
    assert isinstance(data.samples, SampleFile)
    assert ids_of(data.samples) == tuple(record["id"] for record in RECORDS)
    assert indices_of(data.samples[10:20:5]) == [10, 15]
    assert parsed["_content"] == parsed["_rows_of"] == 0
    assert data.by_id["k7"].answer == "Käfer 7 🐞"
    assert data.samples[-1].id == "k39"
    assert parsed["_content"] == 2
    assert len([sample.question for sample in data.samples]) == COUNT
    assert parsed["_content"] == 2 + COUNT


def test_a_large_set_has_the_samples_and_the_export_of_a_small_one(tmp_path, request):
    small = write(tmp_path / "set")
    keep = [sample.id for sample in small.samples if sample.index not in (0, 7, 8, 39)]
    export(small, keep, [], tmp_path / "small")
    request.getfixturevalue("large")
    data = load_dataset(tmp_path / "set")
    assert data.samples == small.samples
    assert (data.digest, data.faults, data.size) == (small.digest, small.faults, small.size)
    export(data, keep, [], tmp_path / "large")
    exported = [(tmp_path / name / "data.json").read_bytes() for name in ("small", "large")]
    assert exported[0] == exported[1]
    assert load_dataset(tmp_path / "large").samples[0].id == "k1"


def test_no_part_of_a_large_file_is_long(tmp_path, large, monkeypatch):
    path, longest = tmp_path / "data.json", []
    path.write_text(TEXTS["list in one line"])
    read = sample_file.FileReader.read

    def noted(reader, start, length, short=False):
        longest.append(length)
        return read(reader, start, length, short)

    monkeypatch.setattr(json_stream, "LONGEST_PEEK", 500)
    source = json_source.JsonSource(path)
    monkeypatch.setattr(sample_file.FileReader, "read", noted)
    monkeypatch.setattr("bye_core.data.json_source.check_json", lambda path, data: None)
    assert len(list(source.rows())) == COUNT
    assert max(longest) <= 1000 < path.stat().st_size


def test_a_large_file_that_changes_is_refused(tmp_path, large):
    data = write(tmp_path)
    path = tmp_path / "data.json"
    facts = path.stat()
    path.write_bytes(path.read_bytes().replace(b"cat", b"dog"))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    with pytest.raises(WrongContent, match="changed"):
        data.record(3)


def test_the_digest_is_that_of_the_content_that_is_read(tmp_path, large, monkeypatch):
    """Also if another file takes the name of the file meanwhile: else its index would hold the old records."""
    path = tmp_path / "data.json"
    path.write_text(TEXTS["lines"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def replaced(*arguments, real=text_files.StoredBytes):
        data = real(*arguments)
        (tmp_path / "new").write_text("[]")
        (tmp_path / "new").replace(path)
        return data

    monkeypatch.setattr(text_files, "StoredBytes", replaced)
    assert json_source.JsonSource(path).digest() == digest


DAMAGE = {
    "facts.json": (b"", b"[]", b"[" * 100_000),
    "spans.npy": (b"", b"PK\x03\x04" + bytes(99), b"\x93NUMPY\x01\x00\x03\x00{(\n"),
    "samples.jsonl": (
        b"",
        b"{",
        b'{"id": "a", "index": ' + b"9" * 30 + b", \n",
        b'{"id": ' + b"[" * 9999 + b'\\, "index": 1, \n',
    ),
}


def test_a_damaged_index_is_made_again(tmp_path, large):
    write(tmp_path / "set")
    stored = load_dataset(tmp_path / "set", index=tmp_path / "sets").index
    for name, contents in DAMAGE.items():
        whole = (stored / name).read_bytes()
        for content in contents:
            (stored / name).write_bytes(content)
            assert ids_of(load_dataset(tmp_path / "set", index=tmp_path / "sets").samples)[7] == "k7"
            assert (stored / name).read_bytes() == whole


def test_an_index_of_another_user_is_read(tmp_path, large, monkeypatch):
    def refuse(*arguments, **more):
        raise PermissionError(1, "Operation not permitted")

    write(tmp_path / "set")
    load_dataset(tmp_path / "set", index=tmp_path / "sets")
    monkeypatch.setattr("os.utime", refuse)
    monkeypatch.setattr("bye_core.data.load.read_samples", None)
    assert load_dataset(tmp_path / "set", index=tmp_path / "sets").index


def test_a_list_of_samples_is_opened_without_making_one(tmp_path, parsed):
    lines = list(sample_file.lines_of(write(tmp_path).samples))
    hostile = sample_file.Sample('a", "index": 7, \ud800\\', 99, (), ())
    content = b"".join(line + b"\n" for line in [*lines, sample_file.sample_line(hostile)])
    path = tmp_path / "samples.jsonl"
    path.write_bytes(content)
    stored, digest = sample_file.open_listing(path)
    assert digest == hashlib.sha256(content).hexdigest()
    assert (stored.ids[-1], stored.indices[-1]) == (hostile.id, 99)
    assert parsed["_content"] == 0
    assert [stored[3], stored[-1]] == [load_dataset(tmp_path / "data.json").samples[3], hostile]
    assert list(stored.lines())[: len(lines)] == lines
    path.write_bytes(content + b" ")
    with pytest.raises(SamplesChanged):
        stored[0]


def test_check_without_images_opens_none(tmp_path, monkeypatch):
    write(tmp_path)
    (tmp_path / "images/0.png").write_bytes(b"no image")
    *_, last = pipeline.check(tmp_path)
    assert last.facts["summary"]["refused"] == COUNT // 2
    *_, last = pipeline.check(tmp_path, images=False)
    assert last.facts["summary"]["refused"] == 0


def test_a_large_set_is_parsed_once(tmp_path, large, monkeypatch):
    """The second command opens the index: it parses the first records only, to know how they are read."""
    write(tmp_path / "set")
    index, parsed = tmp_path / "sets", []
    real = json_stream.DECODER.raw_decode

    class Counting:
        def raw_decode(self, text, position):
            parsed.append(position)
            return real(text, position)

    monkeypatch.setattr(json_stream, "DECODER", Counting())
    monkeypatch.setattr("bye_core.data.load.PEEK", 3)
    first = load_dataset(tmp_path / "set", index=index)
    assert len(parsed) >= COUNT
    parsed.clear()
    again = load_dataset(tmp_path / "set", index=index)
    named = load_dataset(tmp_path / "set", first.format, index=index)  # as the data set of a run is opened
    assert len(parsed) < COUNT / 2
    for other in (again, named):
        assert (other.samples, other.faults, other.size, other.digest) == (
            first.samples, first.faults, first.size, first.digest
        )  # fmt: skip
    assert [again.record(n) for n in range(COUNT)] == RECORDS
    export(again, ["k3"], [], tmp_path / "out")
    assert json.loads((tmp_path / "out/data.json").read_text()) == [RECORDS[3]]
    parsed.clear()
    assert load_dataset(tmp_path / "set", index=index, check="images").samples == first.samples
    assert len(load_dataset(tmp_path / "set", index=index, strict_ids=True).samples) == COUNT
    assert len(parsed) >= 2 * COUNT
    for path in index.glob("*/samples.jsonl"):
        path.write_bytes(path.read_bytes().replace(b"cat", b"dog"))
    assert load_dataset(tmp_path / "set", index=index).samples == first.samples


def test_a_set_that_lacks_images_is_read_again(tmp_path, large):
    write(tmp_path / "set")
    (tmp_path / "set/images/0.png").rename(tmp_path / "0.png")
    assert len(load_dataset(tmp_path / "set", index=tmp_path / "sets").samples) == COUNT // 2
    (tmp_path / "0.png").rename(tmp_path / "set/images/0.png")
    assert load_dataset(tmp_path / "set", index=tmp_path / "sets").index
    (tmp_path / "set/images/0.png").unlink()
    for wanted in ("images", ""):  # a check reads the set again and forgets what was stored
        found = load_dataset(tmp_path / "set", index=tmp_path / "sets", check=wanted)
        assert (len(found.samples), found.index) == (COUNT // 2, None)


def test_a_large_table_is_decoded_once(tmp_path, large, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "set").mkdir()
    sets.pictures(tmp_path, 2)
    images = [{"bytes": (tmp_path / record["image"]).read_bytes(), "path": None} for record in RECORDS]
    rows = [{**record, "image": image} for record, image in zip(RECORDS, images, strict=True)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set/data.parquet", row_group_size=7)
    first = load_dataset(tmp_path / "set", index=tmp_path / "sets")
    assert isinstance(first.samples, SampleFile)
    monkeypatch.setattr("bye_core.data.load.PEEK", 3)
    monkeypatch.setattr("bye_core.data.load.read_samples", None)
    again = load_dataset(tmp_path / "set", index=tmp_path / "sets")
    assert again.samples == first.samples
    assert again.image_bytes(again.samples[9], 0) == images[9]["bytes"]


def test_a_stopped_check_of_a_large_set_resumes(tmp_path, large, monkeypatch):
    write(tmp_path / "set")
    (tmp_path / "set/images/1.png").write_bytes(b"no image")
    monkeypatch.setenv("BYE_HOME", str(tmp_path / "home"))
    *_, whole = pipeline.check(tmp_path / "set")
    checked = []
    real = check.image_errors
    monkeypatch.setattr(check, "image_errors", lambda data, sample: checked.append(sample.id) or real(data, sample))
    steps = pipeline.check(tmp_path / "set")
    while next(steps).done < 25:
        pass
    steps.close()
    *_, last = pipeline.check(tmp_path / "set", images=False)  # another check does not resume this one
    assert last.facts["summary"]["refused"] == 0
    again = list(pipeline.check(tmp_path / "set"))
    assert (again[0].done, len(again[0].facts["faults"])) == (25, 12)
    assert checked == [f"k{n}" for n in range(COUNT)]
    assert again[-1].facts == whole.facts
    assert len([fault for step in again for fault in step.facts["faults"]]) == COUNT // 2
    assert next(pipeline.check(tmp_path / "set")).done == 0
