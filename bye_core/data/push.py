"""Uploads a finished export to the Hugging Face hub as a data set repository, with the user's own token."""

from __future__ import annotations

import re
from pathlib import Path

from bye_core.data.export import is_export
from bye_core.errors import DataError, SettingError

REPO = re.compile(r"[A-Za-z0-9][\w-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)
MESSAGE = "Cleaned with BYE"


class NoToken(SettingError):
    problem = "Uploading to the hub needs a token of yours with the right to write."
    remedy = "Make one at huggingface.co/settings/tokens and paste it here; it is used once and not kept."


class BadRepository(SettingError):
    problem = "{repository!r} is not the name of a repository."
    remedy = "Give it as owner/name, for example your-name/my-cleaned-set."


class NothingToPush(DataError):
    problem = "There is no export to upload."
    remedy = "Export first."


class PushRefused(DataError):
    problem = "The hub refused the upload to {repository}: {reason}"
    remedy = "Check that the token may write there and that the name is yours."


class NoConnection(DataError):
    problem = "The hub cannot be reached from here: {reason}"
    remedy = "Check the network, or download the archive and upload it from another machine."


def check_push(folder: Path, repository: str, token: str) -> None:
    """Raises NoToken, BadRepository, NothingToPush, before anything goes over the network."""
    if not token.strip():
        raise NoToken()
    if not REPO.fullmatch(repository.strip()) or ".." in repository or "--" in repository:
        raise BadRepository(repository=repository.strip())
    if not is_export(folder):
        raise NothingToPush()


def push(folder: Path, repository: str, token: str, private: bool = True) -> str:
    """Upload the export in `folder`, whole, in one commit; returns the address of the repository.

    An existing repository of that name is added to, and keeps its visibility. The token goes to the hub alone: no
    message of an error holds it. Raises what `check_push` raises, PushRefused, NoConnection.
    """
    check_push(folder, repository, token)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    repository, token = repository.strip(), token.strip()
    hub = HfApi(token=token)
    try:
        hub.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        hub.upload_folder(folder_path=folder, repo_id=repository, repo_type="dataset", commit_message=MESSAGE)
    except (HfHubHTTPError, HFValidationError) as error:
        raise PushRefused(repository=repository, reason=_words(error, token)) from None
    except Exception as error:
        if not _is_network(error):
            raise
        raise NoConnection(reason=_words(error, token)) from None
    return f"https://huggingface.co/datasets/{repository}"


def _is_network(error: Exception) -> bool:
    """Whatever the network library at hand calls it."""
    modules = [kind.__module__ for kind in type(error).__mro__]
    return isinstance(error, OSError) or any(name.startswith(("httpx", "httpcore", "requests")) for name in modules)


def _words(error: Exception, token: str) -> str:
    """The first line, without the token."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return "the token is not valid, or has no right to write there."
    lines = str(error).replace(token, "***").strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if text.endswith(".") else f"{text}."
