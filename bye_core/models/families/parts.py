"""Finds the parts of a vision-language model by the structure of its tree of modules.

Loads torch only when it is used, as the other modules of the families do.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bye_core.models.errors import MissingPackage, UnknownParts

if TYPE_CHECKING:
    import torch

# Beginnings of the names of modules that no image passes through on its way to the language model.
OTHER_PARTS = ("audio", "vq", "generation", "video")


@dataclass(frozen=True)
class Parts:
    """Full names of modules.

    language_model  the module that embeds tokens and holds the decoder layers
    layers          the list of its decoder layers
    towers          modules that encode images
    projectors      modules between tower and language model; they may lie inside a tower
    head            the output head
    """

    language_model: str
    layers: str
    towers: tuple[str, ...]
    projectors: tuple[str, ...]
    head: str


def skeleton(config: Any) -> torch.nn.Module:
    """Return the model of `config` without weights. Raises: MissingPackage if its code needs a package."""
    import torch
    from transformers import AutoModelForImageTextToText

    from bye_core.models.packages import missing_package

    try:
        with torch.device("meta"):
            model: torch.nn.Module = AutoModelForImageTextToText.from_config(copy.deepcopy(config))
    except ImportError as error:
        raise MissingPackage(path=config.model_type, package=missing_package(error) or str(error)) from error
    return model


def find_parts(model: Any) -> Parts:
    """Return the names of the model's parts. Raises: UnknownParts if its decoder layers or its head are not found."""
    from torch.nn import ModuleList

    names = {module: name for name, module in model.named_modules()}
    embedding, head = names.get(model.get_input_embeddings(), ""), names.get(model.get_output_embeddings(), "")
    depth = model.config.get_text_config().num_hidden_layers
    lists = [name for module, name in names.items() if isinstance(module, ModuleList) and len(module) == depth]
    # The decoder's layers lie in the module that holds the embedding, or in the nearest module around it.
    beside = [name for name in lists if _parent(name) in _around(embedding)]
    if not beside or not head:
        part = "output head" if beside else "decoder layers"
        raise UnknownParts(model_type=model.config.model_type, part=part)
    layers = max(beside, key=lambda name: len(_parent(name)))
    language_model = _parent(layers)
    neighbours = list(_neighbours(model, language_model, head))
    towers = [name for name in neighbours if _is_tower(model.get_submodule(name), model.config)]
    projectors = [name for name in neighbours if name not in towers and _linears(model.get_submodule(name))]
    if not projectors:
        projectors = [f"{tower}.{name}" for tower in towers for name in _inner(model.get_submodule(tower))]
    return Parts(language_model, layers, tuple(towers), tuple(projectors), head)


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _around(name: str) -> list[str]:
    """Return the names of the modules around a module, the nearest first, the whole model ("") last."""
    around = []
    while name:
        name = _parent(name)
        around.append(name)
    return around


def _neighbours(model: torch.nn.Module, language_model: str, head: str) -> Iterator[str]:
    """Yield the names of the modules with weights beside the language model and beside the modules around it."""
    inside = language_model
    for around in _around(language_model):
        for child, module in model.get_submodule(around).named_children():
            name = f"{around}.{child}" if around else child
            known = name == inside or head == name or head.startswith(f"{name}.")
            if not known and not child.startswith(OTHER_PARTS) and any(True for _ in module.parameters()):
                yield name
        inside = around


def _is_tower(module: torch.nn.Module, config: Any) -> bool:
    """Return whether a module is a model of its own, with one of the vision configs of the whole model."""
    from transformers import PreTrainedModel

    vision = {type(own) for name, own in vars(config).items() if "vision" in name and hasattr(own, "to_dict")}
    return isinstance(module, PreTrainedModel) and type(module.config) in vision


def _linears(module: torch.nn.Module) -> list[torch.nn.Linear]:
    from torch.nn import Linear

    return [own for own in module.modules() if isinstance(own, Linear)]


def _inner(tower: torch.nn.Module) -> list[str]:
    """Return the tower's own modules with linear layers behind its stack of layers: projectors inside the tower."""
    from torch.nn import ModuleList

    children = dict(tower.named_children())
    stacks = {name: [len(own) for own in m.modules() if isinstance(own, ModuleList)] for name, m in children.items()}
    deepest = max(stacks, key=lambda name: max(stacks[name], default=0))
    behind = list(children)[list(children).index(deepest) + 1 :]
    return [name for name in behind if _linears(children[name])]
