"""Loads a fully fine-tuned model together with the model before fine-tuning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bye_core.models.errors import UnrelatedModels
from bye_core.models.loading import LoadedModel, load_model


def load_model_pair(model: str | Path, before: str | Path, **options: Any) -> LoadedModel:
    """Load a fully fine-tuned model, and as its `earlier` the model before fine-tuning. `options`: see `load_model`.

    Raises: the errors of `load_model`; UnrelatedModels if the one cannot be a fine-tuned version of the other.
    """
    loaded, earlier = load_model(model, **options), load_model(before, **options)
    if difference := _difference(loaded, earlier):
        raise UnrelatedModels(model=model, before=before, difference=difference)
    identity = {
        **loaded.identity,
        "before": earlier.identity["model"],
        "before_digest": earlier.identity["model_digest"],
    }
    return replace(loaded, identity=identity, earlier=earlier)


def _difference(loaded: LoadedModel, earlier: LoadedModel) -> str:
    """Return, in words, why the same inputs cannot be given to both models; "" if they can."""
    families = [one.family.config.model_type for one in (loaded, earlier)]
    tokenizers = [one.processor.tokenizer.get_vocab() for one in (loaded, earlier)]
    if loaded.identity["model_digest"] == earlier.identity["model_digest"]:
        return "Both are the same model."
    if families[0] != families[1]:
        return f"One is a {families[0]} and the other a {families[1]} model."
    if tokenizers[0] != tokenizers[1]:
        return "Their tokenizers have different tokens."
    if _sizes(loaded) != _sizes(earlier):
        return "Their weights have other names or sizes."
    return ""


def _sizes(loaded: LoadedModel) -> dict[str, tuple[int, ...]]:
    """Return the sizes of the weights, without the embeddings: both may have different numbers of unused tokens."""
    network = loaded.base
    layers = (network.get_input_embeddings(), network.get_output_embeddings())
    tokens = {id(layer.weight) for layer in layers if layer is not None}
    return {name: tuple(value.shape) for name, value in network.named_parameters() if id(value) not in tokens}
