"""Says what is wrong with text that is not JSON: where, what is there, and what to do about it."""

from __future__ import annotations

import re

from bye_core.data.faults import printable

ONE_LIST = "Save the file as one JSON list of records, or as JSON Lines with one record per line."
_BLANKS = re.compile("[ \t\r\n\ufeff]*")  # a byte order mark is left between files that were joined
_LINE_END = re.compile(r"\r\n|\r|\n")
_WORD = re.compile(r"[^\W\d]\w*")


class NotJson(ValueError):
    """Text that is not JSON: what was seen, at which position of the text, and what to do."""

    def __init__(self, text: str, position: int, seen: str, do: str = ONE_LIST) -> None:
        self._text, self.position, self._line = text, position, 1
        self.seen, self.do = seen, do
        super().__init__()

    def in_line(self, number: int) -> NotJson:
        """Return the error with the number that the text, a single line, has in the file."""
        self._line = number
        self.seen = self.seen.replace("the file ends", "the line ends", 1)
        return self

    def __str__(self) -> str:
        return f"{place(self._text, self.position, self._line)}: {self.seen}"


class TooDeep(NotJson):
    """Lists or objects that are nested too deeply to be parsed."""

    def __init__(self, text: str, position: int) -> None:
        super().__init__(text, position, "lists or objects are nested too deeply")

    def __str__(self) -> str:
        return self.seen  # without the line: a file may hold many of these, and lines are counted from its start


def skip_blanks(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


def place(text: str, position: int, line: int = 1) -> str:
    """Return "line 3, column 5" for a position in the text, whose first line has the number `line`."""
    count, start = line, 0
    for match in _LINE_END.finditer(text, 0, position):
        count, start = count + 1, match.end()
    return f"line {count:,}, column {position - start + 1:,}"


def explain_rest(text: str, position: int, what: str = "list") -> NotJson:
    """Return the error for text after the end of the first value."""
    if text[position] == "," and what == "object":
        do = "Put [ before the first object and ] after the last one."
        return NotJson(text, position, "a comma between objects that are in no list", do)
    if text[position] == "[":
        return NotJson(text, position, "a second list begins after the end of the first one", ONE_LIST)
    return NotJson(text, position, f"there is more text after the end of the {what}: {_quote(text, position)}")


def explain(text: str, position: int, message: str) -> NotJson:
    """Return the error for text that is not JSON at `position`; `message` is the decoder's."""
    position = skip_blanks(text, position)
    before = text[:position].rstrip(" \t\r\n")[-1:]
    rest = text[position : position + 40]
    if position >= len(text):
        seen = "the file is empty" if not text.strip() else "the file ends in the middle of a record"
        return NotJson(text, len(text.rstrip()), seen, "Copy or download the file again: its end is missing.")
    if message.startswith("Unterminated string"):
        do = "Check whether the end of the file is missing, or put a backslash before quotes inside the text."
        return NotJson(
            text, position, "a text begins here and does not end: the file is cut off or a quote is missing", do
        )
    if message.startswith("Invalid control character"):
        return NotJson(text, position, "a line break or control character inside a text", "Write it as \\n or \\t.")
    if message.startswith("Invalid \\"):
        return NotJson(text, position, f"a backslash that JSON does not know: {_quote(text, position)}", "Write \\\\.")
    if rest.startswith(("//", "/*", "#")):
        return NotJson(text, position, "a comment, which JSON does not have", "Delete the comments.")
    if (before == "," and rest[0] in "]}") or (rest[0] == "," and _next(text, position + 1) in ("]", "}")):
        return NotJson(text, position, "a comma before the closing bracket", "Delete that comma.")
    if rest[0] in "'\u2018\u2019\u201c\u201d":
        return NotJson(text, position, f'the quote {rest[0]} in place of "', "Save the file with `json.dump`.")
    if rest[0] == "<":
        return NotJson(text, position, "an HTML or XML text", "Download the file again: this may be a page about it.")
    return _explain_word(text, position, message)


def _explain_word(text: str, position: int, message: str) -> NotJson:
    word = _WORD.match(text, position)
    if word and word.group() in ("True", "False", "None", "nan"):
        seen = f"the Python word {word.group()}"
        return NotJson(text, position, seen, "Save the file with `json.dump`, which writes true, false and null.")
    if word and message.startswith("Expecting property name"):
        seen = f"the key {printable(word.group())[:40]} without quotes, as in JSON5 or JavaScript"
        return NotJson(text, position, seen, 'Put every key in double quotes, as in "id".')
    if message.startswith("Expecting ','"):
        return NotJson(text, position, f"a comma or bracket is missing before {_quote(text, position)}")
    if message.startswith("Expecting ':'"):
        return NotJson(text, position, f"a colon is missing before {_quote(text, position)}")
    return NotJson(text, position, f"{_quote(text, position)}, which is not JSON")


def _next(text: str, position: int) -> str:
    position = skip_blanks(text, position)
    return text[position : position + 1]


def _quote(text: str, position: int) -> str:
    """Return the next characters of the text, without line breaks."""
    part = _LINE_END.split(text[position : position + 20])[0].strip()
    return printable(part) or "a line break"
