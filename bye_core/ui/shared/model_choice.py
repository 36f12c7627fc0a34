"""The models and adapters that a workspace offers. No gradio."""

from __future__ import annotations

from pathlib import Path

from bye_core import runs
from bye_core.errors import ByeError, ModelError
from bye_core.train.settings import CARD, finished
from bye_core.ui import demo_run
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.workspace import Workspace, hosted

DEMO_MODEL, DEMO_ADAPTERS = demo_run.DEMO / "model", demo_run.DEMO / "adapters"

SHIPPED, MINE = "demo", "own:"  # how the shipped model and adapters, and one's own adapters, are named on the page

RECENT = 20  # of the runs, those whose models are offered


class NoModelChosen(ModelError):
    problem = "No model is chosen."
    remedy = "Choose the model that is fine-tuned on this data set: a folder, or owner/name on the hub."


class NoSuchModel(ModelError):
    problem = "{name} is neither a folder with a model nor a name of the hub."
    remedy = "Give the folder that holds config.json and the weights, or owner/name."


def model_choices(place: Workspace) -> list[tuple[str, str]]:
    """(label, value) of the models to choose from: the shipped one, and those of earlier scans on one's own machine."""
    found = [("the demo's model", SHIPPED)] if (DEMO_MODEL / "config.json").is_file() else []
    if not hosted():
        earlier = filter(None, (_model_of_run(place.runs / name) for name in place.run_names()[:RECENT]))
        found += [(model, model) for model in dict.fromkeys(earlier) if model != str(DEMO_MODEL)]
    return found


def _model_of_run(path: Path) -> str:
    try:
        return runs.Run.open(path).settings.model
    except ByeError:
        return ""


def adapter_choices(place: Workspace) -> list[tuple[str, str]]:
    found = [("none", "")]
    for label, prefix, root in (("the demo's: ", f"{SHIPPED}:", DEMO_ADAPTERS), ("", MINE, place.adapters)):
        found += [(label + name, prefix + name) for name in _finished(root)]
    return found


def _finished(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob("*/adapter_config.json"))


def resolve_model(value: str | None) -> str:
    """What `--model` takes. Raises NoModelChosen, NoSuchModel, NotHere."""
    value = (value or "").strip()
    if not value:
        raise NoModelChosen()
    if value == SHIPPED and DEMO_MODEL.is_dir():
        return str(DEMO_MODEL)
    return _typed(value)


def resolve_adapter(place: Workspace, value: str | None) -> str:
    """What `--adapter` takes, "" for none. Raises NoSuchModel, NotHere."""
    value = (value or "").strip()
    if not value:
        return ""
    for prefix, root in ((f"{SHIPPED}:", DEMO_ADAPTERS), (MINE, place.adapters)):
        name = value.removeprefix(prefix)
        if name != value and name in _finished(root):
            return str(root / name)
    return _typed(value)


def _typed(value: str) -> str:
    path = Path(value).expanduser()
    if hosted():
        if data_sets.HUB.fullmatch(value) and not Path(value.split("/")[0]).exists():
            return value
        raise NotHere(
            what="Naming a folder of the server", instead="Choose the demo's model, or owner/name of the hub."
        )
    if path.is_dir():
        return str(path.resolve())
    if data_sets.HUB.fullmatch(value):
        return value
    raise NoSuchModel(name=value)


def finished_adapter_choices(place: Workspace, run: runs.Run | None) -> list[tuple[str, str]]:
    """(label, path) of all finished adapters here, newest first, the one that was scanned among them."""
    own = [path for path in place.adapters.iterdir() if finished(path)] if place.adapters.is_dir() else []
    own.sort(key=lambda path: -(path / CARD).stat().st_mtime)
    found = [(path.name, str(path)) for path in own]
    scanned = run.settings.adapter if run else None
    if scanned and scanned not in {path for _, path in found}:
        found.append((f"{Path(scanned).name}, as scanned", scanned))
    return found
