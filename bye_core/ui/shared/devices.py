"""Lists the devices and precisions that forms offer for loading a model."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

AUTO = "auto"
DTYPES = [(AUTO, AUTO), ("float32", "float32"), ("bfloat16", "bfloat16"), ("float16", "float16")]


def device_choices() -> list[tuple[str, str]]:
    """Return (label, value) of the devices of this machine. It does not load torch, which takes seconds."""
    gpus = sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return devices_of(gpus, nvidia=bool(gpus or shutil.which("nvidia-smi")), apple=apple)


def devices_of(gpus: list[str], *, nvidia: bool, apple: bool) -> list[tuple[str, str]]:
    """Return (label, value) of the devices of a machine; `gpus` holds the numbers of its NVIDIA GPUs, if known."""
    choices = [("auto: a GPU if there is one", AUTO), ("CPU", "cpu")]
    if nvidia:
        choices.append(("NVIDIA GPU", "cuda"))
    if len(gpus) > 1:
        choices += [(f"NVIDIA GPU {number}", f"cuda:{number}") for number in gpus]
    return [*choices, ("Apple GPU", "mps")] if apple else choices
