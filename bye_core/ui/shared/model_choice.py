"""Lists the models and adapters that a workspace offers, and turns a choice into a command-line value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bye_core import runs
from bye_core.data.location import HUB_NAME
from bye_core.errors import ByeError, ModelError
from bye_core.train.settings import CARD, finished, training_facts
from bye_core.ui import demo_run
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.workspace import Workspace, hosted

DEMO_MODEL, DEMO_ADAPTERS = demo_run.DEMO / "model", demo_run.DEMO / "adapters"
SHIPPED, MINE = (
    "demo",
    "own:",
)  # prefixes of values on the page: the demo's model and adapters, and adapters of the workspace
RECENT = 20  # number of recent runs whose models are offered


class NoModelChosen(ModelError):
    problem = "No model is chosen."
    remedy = "Choose the model that will be fine-tuned on this data set: a folder, or owner/name on the hub."


class NoSuchModel(ModelError):
    problem = "{name} is neither a folder with a model nor a name on the hub."
    remedy = "Give the folder that holds config.json and the weights, or owner/name."


def model_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """Return (label, value) of the demo model and, on the user's own machine, of the models of recent runs."""
    choices = [("the demo's model", SHIPPED)] if (DEMO_MODEL / "config.json").is_file() else []
    if not hosted():
        models = filter(None, (_model_of_run(workspace.runs / name) for name in workspace.run_names()[:RECENT]))
        choices += [(model, model) for model in dict.fromkeys(models) if model != str(DEMO_MODEL)]
    return choices


def _model_of_run(path: Path) -> str:
    try:
        return runs.Run.open(path).settings.model
    except ByeError:
        return ""


def adapter_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """Return (label, value) of "none", the demo adapters and the adapters in the workspace."""
    choices = [("none", "")]
    for label, prefix, root in (("the demo's: ", f"{SHIPPED}:", DEMO_ADAPTERS), ("", MINE, workspace.adapters)):
        choices += [(label + name, prefix + name) for name in _finished(root)]
    return choices


def adapter_trained_on(workspace: Workspace, digest: Callable[[], str]) -> str:
    """Return the value of the newest adapter in the workspace that was trained on a data set, "" if there is none.

    `digest` returns the digest of the data set; it is called only if there are adapters.
    """
    cards = [workspace.adapters / name / CARD for name in _finished(workspace.adapters)]
    cards = sorted((card for card in cards if card.is_file()), key=lambda card: -card.stat().st_mtime)
    wanted = digest() if cards else ""
    matching = (card.parent for card in cards if (training_facts(card.parent) or {}).get("data_digest") == wanted)
    return next((f"{MINE}{folder.name}" for folder in matching), "")


def _finished(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob("*/adapter_config.json"))


def resolve_model(value: str | None) -> str:
    """Return the value of `--model` for a value of the form.

    Raises: NoModelChosen if the value is empty; NoSuchModel if it is neither a folder nor a hub name; NotHere if it is
    a path on a public host.
    """
    value = (value or "").strip()
    if not value:
        raise NoModelChosen()
    if value == SHIPPED and DEMO_MODEL.is_dir():
        return str(DEMO_MODEL)
    return _folder_or_hub_name(value)


def resolve_adapter(workspace: Workspace, value: str | None) -> str:
    """Return the value of `--adapter` for a value of the form, "" for no adapter.

    Raises: NoSuchModel if the value is neither a folder nor a hub name; NotHere if it is a path on a public host.
    """
    value = (value or "").strip()
    if not value:
        return ""
    for prefix, root in ((f"{SHIPPED}:", DEMO_ADAPTERS), (MINE, workspace.adapters)):
        name = value.removeprefix(prefix)
        if name != value and name in _finished(root):
            return str(root / name)
    return _folder_or_hub_name(value)


def _folder_or_hub_name(value: str) -> str:
    path = Path(value).expanduser()
    if hosted():
        if HUB_NAME.fullmatch(value) and not Path(value.split("/")[0]).exists():
            return value
        raise NotHere(
            what="Naming a folder of the server", instead="Choose the demo's model, or owner/name on the hub."
        )
    if path.is_dir():
        return str(path.resolve())
    if HUB_NAME.fullmatch(value):
        return value
    raise NoSuchModel(name=value)


def finished_adapter_choices(workspace: Workspace, run: runs.Run | None) -> list[tuple[str, str]]:
    """Return (label, path) of the finished adapters, newest first, and of the adapter with which `run` was scanned."""
    paths = [path for path in workspace.adapters.iterdir() if finished(path)] if workspace.adapters.is_dir() else []
    paths.sort(key=lambda path: -(path / CARD).stat().st_mtime)
    choices = [(path.name, str(path)) for path in paths]
    scanned = run.settings.adapter if run else None
    if scanned and scanned not in {path for _, path in choices}:
        choices.append((f"{Path(scanned).name}, as scanned", scanned))
    return choices
