"""Lists the models and adapters that a workspace offers, and turns a choice into a command-line value."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.data.location import HUB_NAME
from bye_core.errors import ByeError, ModelError
from bye_core.train.settings import CARD, finished, training_facts
from bye_core.ui import demo_run
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.workspace import Workspace, hosted

DEMO_MODEL, DEMO_ADAPTERS = demo_run.DEMO / "model", demo_run.DEMO / "adapters"
# Prefixes of values on the page: the demo's model and adapters; adapters of the workspace and of its cleanings
SHIPPED, MINE, CLEANED = "demo", "own:", "clean:"
CLEANINGS, SUSPECT = "cleanings", "suspect"  # folder of the workspace; the adapter tuned on everything, in a cleaning
RECENT = 20  # number of recent runs whose models are offered


class NoModelChosen(ModelError):
    problem = "No model is chosen."
    remedy = "Choose the model that will be fine-tuned on this data set: a folder, or owner/name on the hub."


class NoSuchModel(ModelError):
    problem = "{name} is neither a folder with a model nor a name on the hub."
    remedy = "Give the folder that holds config.json and the weights, or owner/name."


class ModelNotHere(ModelError):
    problem = "The model of the run {run} is not on this machine; its scan read {model}."
    remedy = (
        "Open another run, or copy the model here and give its folder to the command: "
        "python -m bye_core {command} --run RUN --model FOLDER."
    )


def model_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """Return (label, value) of the demo model and, on the user's own machine, of the models of recent runs."""
    choices = [("the demo's model", SHIPPED)] if (DEMO_MODEL / "config.json").is_file() else []
    if not hosted():
        models = filter(None, (model_of_run(workspace.runs / name) for name in workspace.run_names()[:RECENT]))
        choices += [(model, model) for model in dict.fromkeys(models) if model != SHIPPED]
    return choices


def model_of_run(path: Path) -> str:
    """Return the value of the model with which the run in `path` was scanned, "" if run or model cannot be read."""
    try:
        model = runs.Run.open(path).settings.model
    except ByeError:
        return ""
    if _is_gone(model):
        return ""
    return SHIPPED if model == str(DEMO_MODEL) else model


def _is_gone(model: str) -> bool:
    return Path(model).is_absolute() and not Path(model).exists()


def check_model(run: runs.Run, command: str) -> None:
    """Raise ModelNotHere if the folder of a run's model is gone. `command`: what needs the model."""
    if _is_gone(run.settings.model):
        raise ModelNotHere(run=run.path.name, model=run.settings.model, command=command)


def adapter_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """Return (label, value) of "none", the demo adapters and the adapters in the workspace."""
    choices = [("none", "")]
    for label, prefix, root in (("the demo's: ", f"{SHIPPED}:", DEMO_ADAPTERS), ("", MINE, workspace.adapters)):
        choices += [(label + name, prefix + name) for name in _finished(root)]
    return [*choices, *((f"{name}, tuned by a check or cleaning", CLEANED + name) for name in _of_cleanings(workspace))]


def _of_cleanings(workspace: Workspace) -> list[str]:
    """Return the names of the cleanings and checks whose adapter, tuned on everything, is finished."""
    return sorted(path.parent.parent.name for path in (workspace.root / CLEANINGS).glob(f"*/{SUSPECT}/{CARD}"))


def adapter_trained_on(workspace: Workspace, digest: Callable[[], str]) -> str:
    """Return the value of the newest adapter in the workspace that was trained on a data set, "" if there is none.

    `digest` returns the digest of the data set; it is called only if there are adapters.
    """
    values = [MINE + name for name in _finished(workspace.adapters)]
    values += [CLEANED + name for name in _of_cleanings(workspace)]
    folders = {value: Path(resolve_adapter(workspace, value)) for value in values}
    folders = {value: folder for value, folder in folders.items() if (folder / CARD).is_file()}
    wanted = digest() if folders else ""
    newest = sorted(folders, key=lambda value: -(folders[value] / CARD).stat().st_mtime)
    matching = (value for value in newest if (training_facts(folders[value]) or {}).get("data_digest") == wanted)
    return next(matching, "")


def model_of_adapter(workspace: Workspace, value: str) -> str:
    """Return the value of the model from which an adapter was tuned, as its card says; "" if that is not known."""
    folder = resolve_adapter(workspace, value)
    facts = read_card(Path(folder)) if folder else {}
    model = facts.get("model", {}).get("model", "") if isinstance(facts.get("model"), dict) else ""
    if not model or hosted():
        return ""
    return SHIPPED if Path(model).resolve() == DEMO_MODEL.resolve() else model


def read_card(adapter: Path) -> dict[str, Any]:
    """Return the content of an adapter's card, {} if it has none."""
    try:
        card = json.loads((adapter / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


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
    if value.removeprefix(CLEANED) in _of_cleanings(workspace):
        return str(workspace.root / CLEANINGS / value.removeprefix(CLEANED) / SUSPECT)
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
    paths += [workspace.root / CLEANINGS / name / SUSPECT for name in _of_cleanings(workspace)]
    paths.sort(key=lambda path: -(path / CARD).stat().st_mtime)
    choices = [(path.parent.name if path.name == SUSPECT else path.name, str(path)) for path in paths]
    scanned = run.settings.adapter if run else None
    if scanned and scanned not in {path for _, path in choices}:
        choices.append((f"{Path(scanned).name}, as scanned", scanned))
    return choices
