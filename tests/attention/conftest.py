import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers.utils import logging

from bye_core.models.loading import load_model
from tests.models.families.llava import DECODERS
from tests.models.tiny import save_tiny


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    return {decoder: save_tiny(tmp_path_factory.mktemp(decoder), decoder=decoder) for decoder in DECODERS}


@pytest.fixture(scope="session")
def adapter(folders, tmp_path_factory):
    """A LoRA adapter with a B that is not zero, for the grouped-heads model."""
    loaded = load_model(folders["grouped"], device="cpu")
    targets = loaded.family.lora_targets(loaded.base)
    wrapped = get_peft_model(loaded.base, LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM"))
    torch.manual_seed(1)
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    path = tmp_path_factory.mktemp("adapter")
    wrapped.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def models(folders, adapter):
    """Every decoder of tests.models.tiny, and "adapted": grouped heads with a LoRA adapter."""
    loaded = {decoder: load_model(folder, device="cpu") for decoder, folder in folders.items()}
    return {**loaded, "adapted": load_model(folders["grouped"], adapter, device="cpu")}


@pytest.fixture
def loaded(models):
    return models["llama"]
