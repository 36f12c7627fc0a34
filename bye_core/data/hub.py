"""Reads sizes from the Hugging Face Hub before a download, and uploads a finished export with the user's own token."""

from __future__ import annotations

import re
from pathlib import Path

from bye_core.data.export import is_export
from bye_core.data.faults import Refusal
from bye_core.errors import ByeError, DataError, SettingError

TIMEOUT = 15.0  # seconds
REPO = re.compile(r"[A-Za-z0-9][\w-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)
COMMIT_MESSAGE = "Cleaned with BYE"
_KINDS = {"model": "model", "dataset": "data set"}


class HubUnreachable(Refusal):
    problem = "The {kind} {name} could not be found on the hub: {why}."
    remedy = "Check the name (owner/name) and the connection, or use files on this machine."


class NoToken(SettingError):
    problem = "Uploading to the hub needs your token with write permission."
    remedy = "Create a token at huggingface.co/settings/tokens and paste it here; it is used once and not stored."


class BadRepository(SettingError):
    problem = "{repository!r} is not the name of a repository."
    remedy = "Give the repository as owner/name, for example your-name/my-cleaned-set."


class NothingToPush(DataError):
    problem = "The folder holds no export to upload."
    remedy = "Export the data set first."


class PushRefused(DataError):
    problem = "The hub refused the upload to {repository}: {reason}"
    remedy = "Check that the token has write permission and that the owner in the name is you."


class NoConnection(DataError):
    problem = "The hub cannot be reached from here: {reason}"
    remedy = "Check the network, or download the archive and upload it from another machine."


def check_repo_size(name: str, kind: str, most: int | None, too_large: type[ByeError], anonymous: bool = False) -> int:
    """Return the size in bytes of the repository `name` on the hub; `kind` is "model" or "dataset".

    With `anonymous`, no token is sent, so private repositories are not found.
    Raises: HubUnreachable if the repository is not found or the network fails; the error `too_large` if the size is
    above `most` bytes.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi(token=False if anonymous else None)
        info = api.repo_info(name, repo_type=kind, files_metadata=True, timeout=TIMEOUT)
    except Exception as error:  # the library, its network stack and its name checks each raise their own
        raise HubUnreachable(kind=_KINDS[kind], name=name, why=_first_line(str(error), error)) from error
    size = sum(file.size or 0 for file in getattr(info, "siblings", None) or ())
    if most is not None and size > most:
        raise too_large(name=name, size=f"{size / 1e9:,.1f} GB", most=f"{most / 1e9:g} GB")
    return size


def is_cached(name: str) -> bool:
    """Return whether the data set was downloaded before and thus opens without a connection."""
    import datasets

    return Path(datasets.config.HF_DATASETS_CACHE, name.replace("/", "___")).is_dir()


def check_push(folder: Path, repository: str, token: str) -> None:
    """Check the input of `push` without using the network.

    Raises: NoToken if the token is empty; BadRepository if the name is not owner/name; NothingToPush if `folder` holds
    no export.
    """
    if not token.strip():
        raise NoToken()
    if not REPO.fullmatch(repository.strip()) or ".." in repository or "--" in repository:
        raise BadRepository(repository=repository.strip())
    if not is_export(folder):
        raise NothingToPush()


def push(folder: Path, repository: str, token: str, private: bool = True) -> str:
    """Upload the export in `folder` in one commit and return the URL of the repository.

    An existing repository keeps its other files and its visibility. The token is sent to the hub only and is in no
    error message.
    Raises: NoToken if the token is empty; BadRepository if the name is not owner/name; NothingToPush if `folder` holds
    no export; PushRefused if the hub refuses the upload; NoConnection if the network fails.
    """
    check_push(folder, repository, token)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    repository, token = repository.strip(), token.strip()
    hub = HfApi(token=token)
    try:
        hub.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        hub.upload_folder(folder_path=folder, repo_id=repository, repo_type="dataset", commit_message=COMMIT_MESSAGE)
    except (HfHubHTTPError, HFValidationError) as error:
        raise PushRefused(repository=repository, reason=_reason(error, token)) from None
    except Exception as error:
        if not _is_network_error(error):
            raise
        raise NoConnection(reason=_reason(error, token)) from None
    return f"https://huggingface.co/datasets/{repository}"


def _is_network_error(error: Exception) -> bool:
    """Return whether the error comes from a network library that huggingface_hub may use."""
    modules = [kind.__module__ for kind in type(error).__mro__]
    return isinstance(error, OSError) or any(name.startswith(("httpx", "httpcore", "requests")) for name in modules)


def _reason(error: Exception, token: str) -> str:
    """Return the error's first line as a sentence, without the token."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return "the token is not valid, or has no write permission there."
    text = _first_line(str(error).replace(token, "***"), error)
    return text if text.endswith(".") else f"{text}."


def _first_line(text: str, error: Exception) -> str:
    return (text.strip().splitlines() or [type(error).__name__])[0]
