"""Lists the tabs in the order of the tab bar. A tab is a folder whose view.py declares TAB. No tab imports another."""

from importlib import import_module

from bye_core.ui.session import Tab

NAMES = (
    "review",
    "layers",
    "detectors",
    "dossier",
    "data",
    "scan",
    "export",
    "finetune",
    "clean",
    "guard",
    "attack",
    "method",
)
TABS: tuple[Tab, ...] = tuple(import_module(f"{__name__}.{name}.view").TAB for name in NAMES)
