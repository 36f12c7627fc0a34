"""How a page's script asks Python: one object in, JSON text out; nothing that is sent is believed.

Texts leave as ASCII JSON: half a surrogate pair in a hostile id survives the journey both ways. The scripts show
texts as text (assets/review/dom.js), so nothing is escaped here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from bye_core.errors import ByeError, SettingError
from bye_core.ui.shared.messages import LONGEST, discreet

Ask = Mapping[str, Any]


class BadRequest(SettingError):
    problem = "The page asked for something that does not exist: {what}."
    remedy = "Reload the page."


def answered(function: Callable[[Ask], dict[str, Any]]) -> Callable[[Ask], str]:
    """The function's answer, or its ByeError as {"error": {"kind", "problem", "remedy"}}, as JSON text."""

    @wraps(function)
    def answer(ask: Ask) -> str:
        try:
            if not isinstance(ask, Mapping):
                raise BadRequest(what=type(ask).__name__)
            result = function(ask)
        except ByeError as error:
            result = {"error": told(error)}
        return json.dumps(result, allow_nan=False)

    return answer


def told(error: ByeError) -> dict[str, str]:
    problem, remedy = (discreet(words)[:LONGEST] for words in (error.problem, error.remedy))
    return {"kind": error.kind, "problem": problem, "remedy": remedy}


def text(ask: Ask, name: str, default: str = "", limit: int | None = None) -> str:
    value = ask.get(name, default)
    if not isinstance(value, str):
        raise BadRequest(what=name)
    return value[:limit]


def part(ask: Ask, name: str) -> Ask:
    value = ask.get(name, {})
    if not isinstance(value, Mapping):
        raise BadRequest(what=name)
    return value


def index(value: Any, stop: int, what: str) -> int:
    """A whole number from 0 up to `stop`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < stop:
        raise BadRequest(what=what)
    return value
