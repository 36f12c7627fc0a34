"""Finds, checks and hashes the files of a model or an adapter, before anything is loaded from them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bye_core.files import file_sha256
from bye_core.models.checked_files import checked
from bye_core.models.errors import (
    ModelNotFound,
    OnlyCheckpoints,
    PickleWeights,
)

# Files fetched from the hub: pickled weights and code never reach the disk.
HUB_PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
HASHED = HUB_PATTERNS
# All other files of an adapter folder are notes on how it was trained.
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ADAPTER_HASHED = (ADAPTER_CONFIG, "*.safetensors")
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
CHECKPOINTS_SHOWN = 5
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5", ".npz", ".gguf")


def local_folder(model: str | Path) -> Path:
    """Return the local folder of a model or adapter; download it into the hub's cache if `model` is a hub id.

    Raises: ModelNotFound if there is no such folder, or if the download fails.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.is_file():
        raise ModelNotFound(path=model, reason="it is a file. Its folder is needed.")
    text = str(model)
    if path.exists() or text.startswith((".", "~", "/")) or text.count("/") != 1 or "\\" in text:
        raise ModelNotFound(path=model, reason="there is no such folder.")
    # Imported here: most commands need no hub, and its import takes a quarter of the time in which they start.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(text, allow_patterns=list(HUB_PATTERNS)))
    except (OSError, HFValidationError) as error:
        # The hub's own errors, no network and a full disk are all OSErrors.
        raise ModelNotFound(path=model, reason=f"no such folder, and the hub did not give it: {error}") from error


def check_safetensors(folder: Path) -> None:
    """Check that the folder holds safetensors weights. Raises: PickleWeights if it does not."""
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        raise PickleWeights(path=folder, found=f", only {', '.join(pickles)}" if pickles else "")


def check_checkpoints(folder: Path, wanted: str) -> None:
    """Check for checkpoints. Raises: OnlyCheckpoints if the file `wanted` is in subfolders, not in `folder`."""
    checkpoints = sorted((path.parent.name for path in folder.glob(f"*/{wanted}")), key=_natural)
    if checkpoints:
        more = f" and {len(checkpoints) - CHECKPOINTS_SHOWN} more" if len(checkpoints) > CHECKPOINTS_SHOWN else ""
        raise OnlyCheckpoints(path=folder, wanted=wanted, found=", ".join(checkpoints[:CHECKPOINTS_SHOWN]) + more)


def _natural(name: str) -> tuple[Any, ...]:
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name))


def digests(folder: Path, names: Sequence[str] = HASHED) -> dict[str, str]:
    """Return the SHA-256 digests, by file name, of the files in `folder` that match the patterns `names`.

    The default patterns match every file that decides what a model computes.
    Raises: UnsafeFile if one of the files leads out of the folder.
    """
    files = sorted({path.name for pattern in names for path in folder.glob(pattern) if path.is_file()})
    return {name: file_sha256(real) for name in files if (real := checked(folder, name))}


def combined(files: Mapping[str, str]) -> str:
    """Combine the digests of a folder's files, {file name: SHA-256}, into one SHA-256 digest.

    A folder that is moved or renamed keeps its digest.
    """
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
