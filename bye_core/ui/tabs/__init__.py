"""One file a tab, each with `build(frame)`. Tabs do not import each other; they meet in the session."""

from bye_core.ui.tabs.attack import view as attack_view
from bye_core.ui.tabs.clean import view as clean_view
from bye_core.ui.tabs.data import view as data_view
from bye_core.ui.tabs.dossier import view as dossier_view
from bye_core.ui.tabs.export import view as export_view
from bye_core.ui.tabs.finetune import view as finetune_view
from bye_core.ui.tabs.guard import view as guard_view
from bye_core.ui.tabs.layers import view as layers_view
from bye_core.ui.tabs.method import view as method_view
from bye_core.ui.tabs.review import view as review_view
from bye_core.ui.tabs.scan import view as scan_view

TABS = (
    review_view,
    layers_view,
    dossier_view,
    data_view,
    scan_view,
    export_view,
    finetune_view,
    clean_view,
    guard_view,
    attack_view,
    method_view,
)
