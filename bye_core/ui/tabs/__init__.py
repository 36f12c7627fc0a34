"""One file a tab, each with `build(frame)`. Tabs do not import each other; they meet in the session."""

from bye_core.ui.tabs import attack, clean, data, dossier, export, finetune, guard, layers, method, review, scan

TABS = (review, layers, dossier, data, scan, export, finetune, clean, guard, attack, method)
