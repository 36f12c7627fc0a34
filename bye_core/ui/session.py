"""Declares what all tabs share: the session of a visitor, the common components, and the class of a tab."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gradio as gr

STORAGE_KEY = "bye-visitor"


@dataclass(frozen=True)
class Session:
    """The state of one visitor's page. Everything that must outlast the page is stored on disk, in the run.

    visitor    the token that names the workspace (bye_core.ui.workspace)
    run        name of the open run in the workspace, "" for none
    data       key of the project's data set: the set of the open run, or the set loaded in Data; "" for none
    truth      path of the truth file that the visitor loaded, "" for none
    sample     id of the sample that Review shows or is about to show
    selection  ids of the samples that Review lists: those in a lasso or in a list of Adjust; () for all samples
    closed     name of the run that was closed when another data set was loaded, "" for none
    unknown    name of a run in a link that does not exist here, "" for none
    first      whether this visitor came here for the first time
    revision   increases with every change on disk that pages must show: decisions, a detection, scanned samples
    """

    visitor: str = ""
    run: str = ""
    data: str = ""
    truth: str = ""
    sample: str = ""
    selection: tuple[str, ...] = ()
    closed: str = ""
    unknown: str = ""
    first: bool = False
    revision: int = 0


@dataclass(frozen=True)
class Frame:
    """The components that all tabs share.

    session  the Session
    bridge   sends clicks on figures from the browser to Python
    tabs     the tab bar
    pulse    timer that ticks while a job of the workspace runs; a handler that starts a job returns
             `gr.Timer(active=True)` for it
    trial    the settings that Adjust tries on the open run (bye_core.ui.adjust.trial)
    opened   changes with visitor, run and data set, but not with decisions
    asked    the run that the app was started with, "" for none

    The parts of the page listen to the pulse through `watchers`, and to the session through `followers`, without a
    listener of their own (bye_core.ui.shared.pulse). A tab that draws only while it is in front listens to
    `bridge.changed` instead.
    """

    session: gr.State
    bridge: gr.HTML
    tabs: gr.Tabs
    pulse: gr.Timer
    trial: gr.State
    opened: gr.State
    asked: str = ""
    watchers: list[Watcher] = field(default_factory=list)
    followers: list[Watcher] = field(default_factory=list)


class Watcher(NamedTuple):
    """What a part of the page does at each event: `listener(*values of inputs)` returns updates of `outputs`.

    The last input of a watcher with a tab name in `front` becomes whether that tab is in front (see bridge.in_front).
    """

    listener: Callable[..., dict[Any, Any]]
    inputs: list[Any]
    outputs: list[Any]
    front: str = ""


@dataclass(frozen=True)
class Tab:
    """A tab of the page.

    name    its HTML id is "tab-" and the name
    title   on the tab bar
    build   `build(frame, tab)` makes and connects the components, inside of `tab`
    styles  names of its style sheets in assets/
    off     HTML that replaces the tab on a public host, "" if the tab is available there
    jobs    kinds of jobs that the tab shows, each with a verb for the header, such as {"scan": "scanning"}
    """

    name: str
    title: str
    build: Callable[[Frame, gr.Tab], None]
    styles: tuple[str, ...] = ()
    off: str = ""
    jobs: Mapping[str, str] = field(default_factory=dict)
