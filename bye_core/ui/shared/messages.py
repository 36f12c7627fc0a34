"""Shows errors on a page: problem and remedy. On a public host, the paths of the server's folders are removed."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from html import escape
from pathlib import Path

import gradio as gr
from huggingface_hub import constants

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.files import ASSETS
from bye_core.text import clip
from bye_core.ui.workspace import hosted

# A sentence that names an option of the command line.
_OPTION_SENTENCE = re.compile(r"(?:(?<=^)|(?<=[.!?] ))[^.!?]*(?<!\w)--[a-z][^.!?]*[.!?](?: |$)")
LONGEST = 1500  # characters of one message


def discreet(text: str) -> str:
    """Return `text`; on a public host, the paths of the server's folders are removed from it."""
    if not hosted():
        return text
    roots = _server_folders()
    folder = "|".join(map(re.escape, sorted(roots - {"/"}, key=len, reverse=True)))
    text = re.sub(rf"(?:{folder})/visitors/[0-9a-f]{{32}}/?", "", text)
    whole = rf"(?<![\w.-])(?:{folder})(?:(?P<more>/)|(?![\w.-]))"
    return re.sub(whole, lambda found: "" if found["more"] else "the server's folder", text)


def _server_folders() -> set[str]:
    """Return the folders whose paths a message may contain: of the app, of the libraries, of what they downloaded."""
    hub = [getattr(constants, name, "") for name in ("HF_HOME", "HF_HUB_CACHE", "HF_XET_CACHE", "HF_ASSETS_CACHE")]
    chosen = [os.environ.get(name, "") for name in ("HF_DATASETS_CACHE", "TRANSFORMERS_CACHE", "GRADIO_TEMP_DIR")]
    libraries = [sys.prefix, sys.base_prefix, *(entry for entry in sys.path if entry.endswith("-packages"))]
    names = [*filter(None, hub + chosen + libraries), tempfile.gettempdir(), os.getcwd()]
    bases = (runs.home(), ASSETS.parent, Path.home(), *map(Path, names))
    return {str(root) for base in bases for root in (base, base.resolve())}


def without_options(text: str) -> str:
    """Return `text` without the sentences that name an option of the command line: a page has a control for it."""
    return _OPTION_SENTENCE.sub("", text).strip().replace("`clean`", "the Clean tab")


def on_page(remedy: str) -> str:
    """Return a remedy for a page: without the sentences about the command line, unless it has no others."""
    return without_options(remedy) or remedy


def alert(error: ByeError, remedy: str = "") -> str:
    """Return the HTML of an error. It stays on the page until the next action replaces it.

    `remedy` replaces the error's own, which may be about the command line.
    """
    parts = error.problem, remedy or on_page(error.remedy)
    problem, remedy = (escape(clip(discreet(part), LONGEST)) for part in parts)
    return f'<div class="bye-alert" role="alert"><strong>{problem}</strong> {remedy}</div>'


def warn(error: ByeError) -> None:
    """Show an error for a few seconds."""
    gr.Warning(escape(clip(discreet(f"{error.problem} {on_page(error.remedy)}"), LONGEST)))


def note(words: str) -> str:
    """Return the HTML of a hint."""
    return f'<p class="bye-note">{escape(words)}</p>' if words else ""


def off_here(words: str, *commands: str) -> str:
    """Return the HTML that replaces a disabled tab on a public host: the reason, and the commands to run instead."""
    lines = escape("\n".join(commands))
    return f"<div class='bye-off'><p>{escape(words)}</p><pre><code>{lines}</code></pre></div>"
