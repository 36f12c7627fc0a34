"""Checks the requests of page scripts and answers them. A request is one object; the response is JSON text.

Responses are ASCII JSON, so that half a surrogate pair in a hostile id is transmitted unchanged. HTML is not escaped:
scripts insert texts as text nodes (assets/scripts/review/dom.js).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from bye_core.errors import ByeError, SettingError
from bye_core.ui.shared.messages import LONGEST, discreet

Request = Mapping[str, Any]


class BadRequest(SettingError):
    problem = "The page sent a wrong value: {what}."
    remedy = "Reload the page."


def json_answer(function: Callable[[Request], dict[str, Any]]) -> Callable[[Request], str]:
    """Wrap `function` so that it returns JSON text. A ByeError becomes {"error": {"kind", "problem", "remedy"}}."""

    @wraps(function)
    def answer(request: Request) -> str:
        try:
            if not isinstance(request, Mapping):
                raise BadRequest(what=type(request).__name__)
            result = function(request)
        except ByeError as error:
            result = {"error": failure(error)}
        return json.dumps(result, allow_nan=False)

    return answer


def failure(error: ByeError) -> dict[str, str]:
    problem, remedy = (discreet(words)[:LONGEST] for words in (error.problem, error.remedy))
    return {"kind": error.kind, "problem": problem, "remedy": remedy}


def text(request: Request, name: str, default: str = "", limit: int | None = None) -> str:
    value = request.get(name, default)
    if not isinstance(value, str):
        raise BadRequest(what=name)
    return value[:limit]


def part(request: Request, name: str) -> Request:
    value = request.get(name, {})
    if not isinstance(value, Mapping):
        raise BadRequest(what=name)
    return value


def index(value: Any, stop: int, what: str) -> int:
    """Return `value` if it is a whole number from 0 to `stop` - 1. Raises: BadRequest, which names `what`, if not."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < stop:
        raise BadRequest(what=what)
    return value
