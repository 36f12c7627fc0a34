"""What one visitor looks at: a small value that every tab reads. All that must last is on disk, in the run."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

STORAGE_KEY = "bye-visitor"


@dataclass(frozen=True)
class Session:
    """`revision` grows with every change on disk that pages should see: decisions, a detection, scanned samples.

    visitor  the token that names the workspace (bye_core.ui.workspace)
    run      the open run's name in the workspace, "" for none
    data     a data set chosen in Data, "" for none
    truth    a truth file that the analyst loaded on purpose, "" for none
    sample   the sample that Review shows or is to show
    selection  ids that Review is to list: what a lasso picked, or a list of Adjust; () for none
    """

    visitor: str = ""
    run: str = ""
    data: str = ""
    truth: str = ""
    sample: str = ""
    selection: tuple[str, ...] = ()
    revision: int = 0


@dataclass(frozen=True)
class Frame:
    """The components that all tabs share.

    bridge   carries clicks on plots and keys from the browser to Python
    pulse    ticks while a job of the workspace runs; a tab that starts a job returns `gr.Timer(active=True)` for it
    trial    the settings that Adjust tries out on the open run, not saved yet (bye_core.ui.adjust.trial)
    opened   changes with the visitor, the open run and the chosen data set, but not with every decision
    asked    the run that the app was started with, "" for none
    """

    session: gr.State
    bridge: gr.HTML
    tabs: gr.Tabs
    pulse: gr.Timer
    trial: gr.State
    opened: gr.State
    asked: str = ""
