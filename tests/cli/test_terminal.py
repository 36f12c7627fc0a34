"""Ids and texts of a data set do not command the terminal that shows them."""

from __future__ import annotations

import json

import pytest

from bye_core.cli.main import main
from bye_core.cli.output import fault_line, for_terminal
from bye_core.records import Fault
from tests.data.sets import png

ESCAPES = "\x1b]0;title\x07\x1b[2J\x9b31m\u202eabc\x7f"


def test_control_characters_are_escaped():
    assert for_terminal("a\tb\nc é ü 漢") == "a\tb\nc é ü 漢"
    assert for_terminal(ESCAPES) == "\\u001b]0;title\\u0007\\u001b[2J\\u009b31m\\u202eabc\\u007f"
    assert fault_line(Fault("a\nrecord 7  b", 1, "Odd", "p", "r")).count("\n") == 0


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_check_shows_no_control_characters(arguments, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(png())
    records = [{"id": ESCAPES, "image": image, "question": ESCAPES, "answer": ESCAPES} for image in ("a.png", ESCAPES)]
    (tmp_path / "data.json").write_text(json.dumps(records))
    main(["check", str(tmp_path / "data.json"), *arguments])
    out, err = capsys.readouterr()
    shown = out + err
    assert [c for c in shown if not c.isprintable() and c not in "\n\r"] == []
    if arguments:
        assert json.loads(out)["records"] == 2
