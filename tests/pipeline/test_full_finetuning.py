"""A fully fine-tuned model beside the model before: it is read as the same change in an adapter is."""

import numpy as np
import pytest
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from bye_core import pipeline
from bye_core.cli.main import main
from bye_core.cli.output import DONE
from bye_core.models.errors import UnrelatedModels
from bye_core.models.pair import load_model_pair
from bye_core.pipeline.scan import AdapterAndBefore, AnotherModel, ScanSettings, load_scanned
from bye_core.runs import Run
from bye_core.runs.errors import RunMismatch
from bye_core.train.settings import FinetuneSettings
from bye_core.workers import ModelSource
from tests.made_run import make_data
from tests.models.tiny import save_tiny
from tests.train.tiny_adapter import save_tiny_adapter

SAMPLES = 6
READ = ("entropy", "mass", "mass_before", "peak_before", "nll", "nll_before", "worst_before", "certain_before")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("before") / "base", num_hidden_layers=2)


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    """An adapter with large random weights."""
    folder = save_tiny_adapter(base, tmp_path_factory.mktemp("before") / "adapter", FinetuneSettings(rank=2))
    weights = load_file(folder / "adapter_model.safetensors")
    for name, weight in weights.items():
        if "lora_B" in name:
            weight += 0.3
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def merged(base, adapter, tmp_path_factory):
    """The model with the adapter merged into its weights, as a full fine-tuning saves it."""
    folder = tmp_path_factory.mktemp("before") / "merged"
    network = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), adapter)
    network.merge_and_unload().save_pretrained(folder)
    AutoProcessor.from_pretrained(base).save_pretrained(folder)
    return folder


def save_other(merged):
    """Save the merged model once more, with another weight, and return its folder."""
    folder = merged.with_name("other")
    network = AutoModelForImageTextToText.from_pretrained(merged)
    network.get_output_embeddings().weight.data += 0.1
    network.save_pretrained(folder)
    AutoProcessor.from_pretrained(merged).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("before") / "data", SAMPLES)


@pytest.fixture(scope="module")
def run(base, merged, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("before") / "run"
    list(pipeline.scan(str(merged), data, path, before=base))
    return path


def test_both_models_are_read_as_with_an_adapter(run, base, adapter, data, tmp_path):
    list(pipeline.scan(str(base), data, tmp_path / "run", adapter, ScanSettings(answers=True)))
    table, expected = Run.open(run).table(), Run.open(tmp_path / "run").table()
    assert Run.open(run).settings.answers
    for name in READ:
        np.testing.assert_allclose(getattr(table, name), getattr(expected, name), atol=2e-3, err_msg=name)
    assert np.abs(table.mass - table.mass_before).max() > 0.01
    assert np.abs(table.nll - table.nll_before).max() > 0.1
    assert not any(one.kind == "missing_input" for one in pipeline.detect_run(run, "auto").limitations)


def test_the_command_resumes_and_asks_both_models(run, base, merged, data):
    arguments = ["scan", "--model", merged, "--data", data, "--run", run, "--before", base]
    assert main([*map(str, arguments)]) == DONE
    (id,) = [sample.id for sample in Run.open(run).samples()][:1]
    assert main(["inspect", "--run", str(run), "--id", id, "--json"]) == DONE
    (found,) = pipeline.read_inspections(run, [id])
    assert isinstance(found.answer, str)
    assert isinstance(found.answer_before, str)
    assert not found.fault


def test_a_run_is_not_resumed_without_its_model_before(run, merged, data):
    with pytest.raises(RunMismatch, match="before digest"):
        list(pipeline.scan(str(merged), data, run, settings=ScanSettings(answers=True)))


def test_an_adapter_and_a_model_before_are_refused(base, adapter, data, tmp_path):
    with pytest.raises(AdapterAndBefore):
        list(pipeline.scan(str(base), data, tmp_path / "run", adapter, before=base))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"family": "internvl"}, "One is a llava and the other a internvl model"),
        ({"num_hidden_layers": 3}, "other names or sizes"),
        (None, "Both are the same model"),
    ],
)
def test_a_model_that_cannot_be_the_one_before_is_refused(merged, tmp_path, options, words):
    other = merged if options is None else save_tiny(tmp_path / "other", **options)
    with pytest.raises(UnrelatedModels, match=words):
        load_model_pair(merged, other, device="cpu")


def test_the_model_before_may_have_moved(run, base, tmp_path, monkeypatch):
    own = Run.open(run)
    ids = [sample.id for sample in own.samples()][1:2]
    moved = base.rename(base.with_name("moved"))
    try:
        list(pipeline.inspect_samples(run, ids, before=str(moved)))
    finally:
        moved.rename(base)
    assert pipeline.read_inspections(run, ids)[0].answer_before is not None


def test_another_model_before_is_refused_by_its_name(run, merged):
    with pytest.raises(AnotherModel, match="with another model before fine-tuning"):
        load_scanned(Run.open(run), before=str(save_other(merged)))


def test_workers_find_the_model_before_from_any_folder(base, merged, monkeypatch):
    monkeypatch.chdir(base.parent)
    source = ModelSource(str(merged), before=base.name).for_workers()
    assert source.before == str(base.resolve())
