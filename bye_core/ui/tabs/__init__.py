"""One file a tab, each with `build(frame)`. Tabs do not import each other; they meet in the session."""

from bye_core.ui.tabs import data, export, finetune, method, review, scan

TABS = (review, data, scan, export, finetune, method)
