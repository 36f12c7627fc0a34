"""What the hub says about a model or data set before any of it is fetched."""

from __future__ import annotations

from pathlib import Path

from bye_core.data.faults import Refusal
from bye_core.errors import ByeError

SECONDS = 15.0


class HubUnreachable(Refusal):
    problem = "The hub gave no {kind} {name}: {why}."
    remedy = "Check the name (owner/name) and the connection, or use files that are already here."


def check_size(name: str, kind: str, most: int | None, too_large: type[ByeError], anonymous: bool = False) -> int:
    """Bytes of the `kind` ("model", "dataset") `name`. Raises HubUnreachable at once where there is no connection, and
    `too_large` above `most` bytes. `anonymous`: as somebody without an account, who sees no private set."""
    from huggingface_hub import HfApi

    try:
        info = HfApi(token=False if anonymous else None).repo_info(
            name, repo_type=kind, files_metadata=True, timeout=SECONDS
        )
    except Exception as error:  # the library, its network stack and its checks of names each raise their own
        raise HubUnreachable(kind=_WORDS[kind], name=name, why=_first_line(error)) from error
    size = sum(file.size or 0 for file in info.siblings or ())
    if most is not None and size > most:
        raise too_large(name=name, size=f"{size / 1e9:,.1f} GB", most=f"{most / 1e9:g} GB")
    return size


def is_cached(name: str) -> bool:
    """Whether the data set was fetched before: then it opens without a connection."""
    import datasets

    return Path(datasets.config.HF_DATASETS_CACHE, name.replace("/", "___")).is_dir()


_WORDS = {"model": "model", "dataset": "data set"}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
