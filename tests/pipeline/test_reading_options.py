"""The reading options of a scan are kept in the run: every later stage reads the same records."""

import json

import pytest

from bye_core import pipeline, runs
from bye_core.cli import main
from bye_core.cli.options import reading_options
from bye_core.data import load_dataset
from bye_core.data.reading import ReadingOptions
from tests.data import sets
from tests.models.tiny import save_tiny


def test_options_as_arguments_and_as_a_record():
    options = ReadingOptions("vqa", {"question": "q=1"}, "-test", "-What?", True)
    arguments = main.build_parser().parse_args(["check", "data", *options.arguments()])
    assert reading_options(arguments) == options
    assert ReadingOptions.from_record(json.loads(json.dumps(options.record()))) == options
    assert ReadingOptions().arguments() == []
    assert ReadingOptions().record() == {}


def test_question_and_strict_ids_make_another_data_set(tmp_path):
    folder = sets.llava(tmp_path)
    digests = {load_dataset(folder, **given).digest for given in ({}, {"question": "Q?"}, {"strict_ids": True})}
    assert len(digests) == 3


@pytest.mark.parametrize("kind", ["split", "entry", "shards"])
def test_export_finds_what_a_scan_read(kind, tmp_path, monkeypatch, capsys):
    """The scan has relative paths and options; the export runs in another folder, without them."""
    model, folder = save_tiny(tmp_path / "tiny"), tmp_path / "here/set"
    names = sets.pictures(folder, 4)
    rows = [{"img": name, "question": "What?", "answer": f"A {k}"} for k, name in enumerate(names)]
    options = ["--columns", "image=img"]
    if kind == "split":
        for name, part in (("train.csv", rows[:1]), ("test.csv", rows[1:])):
            sets.write_csv(folder / name, part)
        options += ["--split", "test"]
    elif kind == "entry":
        talks = [{"instruction": "<image>What?", "output": row["answer"], "pics": [row["img"]]} for row in rows[1:]]
        (folder / "sub").mkdir()
        (folder / "sub/t.json").write_text(json.dumps(talks))
        columns = {"prompt": "instruction", "response": "output", "images": "pics"}
        info = {"a": {"file_name": "sub/t.json", "columns": columns}, "b": {"file_name": "sub/none.json"}}
        (folder / "dataset_info.json").write_text(json.dumps(info))
        options = ["--split", "a"]
    else:
        for k, row in enumerate(rows[1:]):
            (folder / f"part-{k:05d}.jsonl").write_text(json.dumps(row))
    monkeypatch.chdir(tmp_path / "here")
    command = ["scan", "--model", str(model), "--data", "set", "--run", "run", "--device", "cpu", *options]
    assert main.main(command) == 0
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "here/run"
    assert [sample.answer for sample in pipeline.reopen_set(runs.Run.open(run).settings).samples] == [
        row["answer"] for row in rows[1:]
    ]
    assert main.main(["decide", "--run", str(run), "--set", "record-000001=reject"]) == 0
    capsys.readouterr()
    assert main.main(["export", "--run", str(run), "--out", "out", "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["counts"]["kept"] == 2
    assert str(tmp_path) not in json.dumps(manifest)
    again = pipeline.ready(tmp_path / "out", ReadingOptions(columns={} if kind == "entry" else {"image": "img"}))
    assert [sample.answer for sample in again.samples] == ["A 1", "A 3"]
