"""An untrained LoRA adapter of a tiny model, for tests that need any finished adapter."""

from bye_core.models.loading import load_model
from bye_core.train.adapter import save_adapter, with_lora


def save_tiny_adapter(model, folder, settings):
    """Save an adapter of the model folder `model` in `folder`, and return `folder`."""
    loaded = load_model(model, device="cpu")
    save_adapter(with_lora(loaded, settings), loaded.identity, folder)
    return folder
