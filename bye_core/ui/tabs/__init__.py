"""Lists the tabs in the order of the tab bar, which is the order of the work.

A tab is a folder whose view.py declares TAB. No tab imports another.
"""

from importlib import import_module

from bye_core.ui.session import Tab

NAMES = (
    "data",
    "finetune",
    "scan",
    "review",
    "layers",
    "explore",
    "detectors",
    "dossier",
    "export",
    "clean",
    "guard",
    "attack",
    "method",
)
FIRST_TAB = "review"  # shows a finished result at once
TABS: tuple[Tab, ...] = tuple(import_module(f"{__name__}.{name}.view").TAB for name in NAMES)
