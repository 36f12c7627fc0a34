"""No file outside its repository belongs to a data set from the hub, whatever its card says."""

from types import SimpleNamespace

import datasets
import pytest
from datasets.data_files import DataFilesDict, DataFilesList, get_data_patterns

from bye_core.data import hub_files
from bye_core.data.hub_files import ForeignFile, OldDatasets, load_from_hub, own_files_only
from bye_core.data.load import load_dataset

INFO = SimpleNamespace(id="owner/set", sha="abc")
FOREIGN = [
    "{file}", "../{file}", "a/../../x.csv", "file://{file}", "file:{file}", "local://{file}", "http://127.0.0.1:9/x.csv",
    "https://127.0.0.1:9/*.csv", "zip://x.csv::http://127.0.0.1:9/x.zip", "zip://x.csv::{file}", "s3://bucket/x.csv",
    "hf://datasets/owner/other@main/x.csv", "hf://datasets/owner/set2@main/x.csv", "hf://owner/set/x.csv", "/etc/*",
    "\\\\host\\share\\x.csv", "C:/x.csv",
]  # fmt: skip


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "decisions.csv"
    file.write_text("a\n1\n")
    return file


@pytest.mark.parametrize("pattern", FOREIGN)
def test_a_card_names_no_other_file(pattern, secret):
    pattern = pattern.format(file=secret)
    with own_files_only("owner/set"), pytest.raises(ForeignFile, match="owner/set"):
        DataFilesDict.from_hf_repo({"train": [pattern]}, INFO)


@pytest.mark.parametrize("folder", ["/etc", "hf://datasets/owner/set@abc/../../x", "file:///etc", "http://127.0.0.1:9"])
def test_a_card_names_no_other_folder(folder):
    """datasets joins the `data_dir` of a card with the address of the repository: this is the result."""
    with own_files_only("owner/set"), pytest.raises(ForeignFile):
        get_data_patterns(folder)


def test_without_a_hub_set_datasets_is_as_it_was(secret):
    with own_files_only("owner/set"):
        pass
    assert list(DataFilesList.from_patterns([str(secret)])) == [str(secret)]


def test_files_of_the_repository_are_found(monkeypatch):
    asked = []
    monkeypatch.setattr(hub_files, "_guard", lambda: None)
    find = hub_files._guarded(lambda pattern, base, *_, **__: asked.append(pattern) or [])
    monkeypatch.setattr("datasets.data_files.resolve_pattern", find)
    own = ["data/train-*.parquet", "**", "hf://datasets/owner/set@abc/data/a.csv", "a..b/c.csv"]
    with own_files_only("owner/set"):
        DataFilesList.from_hf_repo(own, INFO)
    assert asked == own


class Builder:
    def __init__(self, *files):
        self.config = SimpleNamespace(data_files={"train": list(files)} if files else None)

    def download_and_prepare(self):
        self.prepared = True

    def as_dataset(self):
        return datasets.DatasetDict({"train": datasets.Dataset.from_dict({"question": ["q"]})})


def test_nothing_is_downloaded_for_a_foreign_file(monkeypatch, secret):
    builder = Builder("hf://datasets/owner/set@abc/a.csv", str(secret))
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name: builder)
    with pytest.raises(ForeignFile) as refused:
        load_dataset("owner/set")
    assert str(secret) in refused.value.problem
    assert not hasattr(builder, "prepared")


@pytest.mark.parametrize("files", [(), ("hf://datasets/owner/set@abc/a.csv",)])
def test_a_set_of_its_own_files_opens(monkeypatch, files):
    builder = Builder(*files)
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name: builder)
    assert len(load_from_hub("owner/set")["train"]) == 1
    assert builder.prepared


@pytest.mark.parametrize("version", ["4.8.5", "5.0.0", "5.0.1.dev0"])
def test_old_versions_open_no_set_of_the_hub(monkeypatch, version):
    monkeypatch.setattr(datasets, "__version__", version)
    with pytest.raises(OldDatasets, match=version):
        load_from_hub("owner/set")
