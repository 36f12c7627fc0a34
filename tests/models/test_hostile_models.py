"""Hostile model and adapter folders: each is refused with its own error, and most before a library opens a file."""

import json
import os
import shutil
import socket

import pytest
import torch
from peft import LoraConfig, get_peft_model

from bye_core.errors import ByeError
from bye_core.models import bounds, folder_view, loading
from bye_core.models.files import HASHED, digests
from bye_core.models.folder_errors import UnsafeFile
from bye_core.models.folder_view import adapter_view, model_view, remove_left_over
from bye_core.models.loading import load_model
from tests.models.families.llava import tiny_model
from tests.models.hostile import ADAPTER, Case, adapter_cases, edit, model_cases
from tests.models.tiny import picture, sample

MODELS, ADAPTERS = list(model_cases()), list(adapter_cases())


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    wrapped = get_peft_model(tiny_model(), LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    torch.manual_seed(1)
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    path = tmp_path_factory.mktemp("adapter")
    wrapped.save_pretrained(path)
    return path


@pytest.fixture
def copied(tmp_path):
    """Return a function that copies a folder; its files are links, which `replace` cuts."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("{}")
    (tmp_path / "outside/w").write_bytes(b"")

    def copy(folder):
        return shutil.copytree(folder, tmp_path / "copy", copy_function=os.link)

    return copy


@pytest.fixture(autouse=True)
def no_network_and_short_limits(monkeypatch):
    def connect(self, address):
        pytest.fail(f"a connection to {address} was opened")

    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("TEMPLATE_SECONDS", "TOKENIZER_SECONDS", "PATTERN_SECONDS"):
        monkeypatch.setattr(bounds, name, 0.3)
    monkeypatch.setattr(bounds, "FOLDER_ENTRIES", 100)


def refuse(case: Case, monkeypatch, model, adapter=None):
    """Load a folder that must be refused; fail if a library saw a folder that a check refuses before."""
    if not case.late:
        reader = "add_adapter" if adapter else "read_config"
        monkeypatch.setattr(loading, reader, lambda *_: pytest.fail("a library read the folder before the refusal"))
    with pytest.raises(ByeError) as failure:
        load_model(model, adapter, device="cpu")
    assert type(failure.value) is case.error, failure.value
    assert folder_view.PREFIX not in str(failure.value), "the message names the temporary folder"


def test_there_are_enough_hostile_folders():
    names = [case.name for case in (*MODELS, *ADAPTERS)]
    assert len(set(names)) == len(names) >= 300


@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name[:60])
def test_a_hostile_model_is_refused(case, copied, folder, monkeypatch):
    path = copied(folder)
    case.change(path)
    refuse(case, monkeypatch, path)


@pytest.mark.parametrize("case", ADAPTERS, ids=lambda case: case.name[:60])
def test_a_hostile_adapter_is_refused(case, copied, folder, adapter, monkeypatch):
    path = copied(adapter)
    case.change(path)
    refuse(case, monkeypatch, folder, path)


def logits(loaded):
    inputs = loaded.family.encode([loaded.family.prompt(sample("a"))], [[picture(0)]])
    with torch.no_grad():
        return loaded.model(**inputs).logits


def test_an_adapter_in_the_models_folder_is_not_applied(copied, folder, adapter, loaded):
    path = copied(folder)
    for file in adapter.iterdir():
        shutil.copy(file, path / file.name)
    found = load_model(path, device="cpu")
    assert torch.equal(logits(found), logits(loaded))
    assert not torch.equal(logits(load_model(folder, adapter, device="cpu")), logits(loaded))


def test_libraries_see_only_files_of_the_digest(copied, folder, adapter):
    path = copied(folder)
    for name in (
        "modeling.py",
        "adapter_config.json",
        "pytorch_model.bin",
        "shard-00001-model-00001-of-00001.safetensors",
    ):
        (path / name).write_bytes(b"{}")
    (path / "additional_chat_templates").mkdir()
    with model_view(path) as view:
        seen = {entry.name for entry in view.iterdir()}
        assert seen <= set(digests(path))
        assert {"config.json", "model.safetensors", "tokenizer.json", "processor_config.json"} <= seen
        assert not seen & {"modeling.py", "adapter_config.json", "pytorch_model.bin"}
        assert not any(name.startswith("shard-") for name in seen)
    assert not view.exists()
    with adapter_view(adapter) as view:
        assert {entry.name for entry in view.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert set(HASHED) >= {"*.json", "*.safetensors", "*.jinja"}


def test_old_names_of_files_in_a_tokenizer_are_left_out(copied, folder):
    path = copied(folder)
    edit("tokenizer_config.json", special_tokens_map_file="/elsewhere/x.json", name_or_path="owner/name")(path)
    with model_view(path) as view:
        settings = json.loads((view / "tokenizer_config.json").read_text())
    assert not {"special_tokens_map_file", "name_or_path"} & set(settings)
    load_model(path, device="cpu")


def test_arguments_of_calls_in_a_tokenizer_are_left_out(copied, folder, loaded):
    """transformers takes them as defaults; they would fill each text up to 10^9 tokens, or cut it."""
    path = copied(folder)
    changes = {"pad_to_multiple_of": 10**9, "padding": "max_length", "max_length": 10**9, "truncation": True}
    edit("tokenizer_config.json", **changes)(path)
    with model_view(path) as view:
        assert not set(changes) & set(json.loads((view / "tokenizer_config.json").read_text()))
    assert torch.equal(logits(load_model(path, device="cpu")), logits(loaded))


def test_a_snapshot_of_the_hub_links_to_its_blobs(tmp_path, folder, loaded):
    repository = tmp_path / "models--owner--name"
    snapshot, blobs = repository / "snapshots/0123", repository / "blobs"
    snapshot.mkdir(parents=True)
    shutil.copytree(folder, blobs)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    assert load_model(snapshot, device="cpu").identity["files"] == loaded.identity["files"]
    (tmp_path / "secret").write_text("{}")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to("../../../secret")
    with pytest.raises(UnsafeFile, match=r"config\.json .*out of the folder"):
        load_model(snapshot, device="cpu")


def test_views_of_killed_processes_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    for owner in (2**22 + 1, os.getpid()):
        (tmp_path / f"{folder_view.PREFIX}{owner}-x").mkdir()
    (tmp_path / "other").mkdir()
    remove_left_over.__wrapped__()
    assert {path.name for path in tmp_path.iterdir()} == {f"{folder_view.PREFIX}{os.getpid()}-x", "other"}


def test_harmless_fields_of_other_tools_stay(copied, folder, adapter):
    path = copied(adapter)
    edit(ADAPTER, loftq_config={}, eva_config=None, arrow_config=None, layers_pattern=None, modules_to_save=None)(path)
    load_model(folder, path, device="cpu")
