import pytest
import torch
from transformers.utils import logging

from bye_core.models.loading import load_model
from tests.models.tiny import save_tiny


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def loaded(folder):
    return load_model(folder, device="cpu")
