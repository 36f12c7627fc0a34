"""Reads records of chat messages in all spellings: their messages, roles, system prompt and chosen answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bye_core.data.faults import MalformedRecord, UnknownRole, as_json, value_type
from bye_core.data.formats.base import Layout, ParsedRecord, is_missing
from bye_core.data.formats.cells import cell_text, named_images
from bye_core.data.formats.contents import ContentReader, place_images
from bye_core.records import Turn

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_OTHER_ROLES = {"chatgpt": "assistant", "bot": "assistant", "model": "assistant", "developer": "system"}
SYSTEM_KEYS = ("system", "system_prompt")
MESSAGE_KEYS = (("from", "value"), ("role", "content"))
_KEYS_SHOWN = 8


def read_conversation(
    record: Mapping[str, Any],
    layout: Layout,
    messages: Any,
    *,
    keys: tuple[tuple[str, str], ...] = MESSAGE_KEYS,
    roles: Mapping[str, str] = ROLES,
    inline: bool = False,
    images_first: bool = False,
) -> ParsedRecord:
    """Parse a record of chat messages: its messages, images, system prompt, and the chosen answer of a preference pair.

    keys          the accepted pairs of key names: (key of the role, key of the content)
    roles         maps the record's roles to user, assistant and system
    inline        whether <img>path</img> names an image although the record also names images by key
    images_first  whether images without a marker come before the first user message
    Raises: MalformedRecord, UnknownRole, Video, and as `named_images`.
    """
    images = named_images(record, layout)
    reader = ContentReader(images, inline or not images)
    turns: list[Turn] = []
    contents = list(read_messages(messages, keys, roles))
    if "chosen" in record:
        contents += _chosen_messages(record, contents, keys, roles)
    answered = False
    for where, role, content in contents:
        if is_missing(content) and (role == "system" or content in ("", []) or (role == "assistant" and not answered)):
            turns += [Turn(role, ())] if role != "system" else []  # the first answer may be empty: EmptyAnswer
        else:
            turns.append(Turn(role, reader.parts(role, content, where)))
        answered = answered or role == "assistant"
    turns = with_system(turns, record, layout)
    plain = not any(isinstance(content, list | dict) for _, _, content in contents)
    turns = place_images(turns, len(reader.images), images_first and plain)
    return ParsedRecord(layout.get(record, "id"), tuple(turns), tuple(reader.images))


def read_messages(
    messages: Any, keys: tuple[tuple[str, str], ...] = MESSAGE_KEYS, roles: Mapping[str, str] = ROLES
) -> Iterator[tuple[str, str, Any]]:
    """Yield (name of the content in errors, role, content) of each message. For `keys` and `roles` see above.

    The name of a text is "": a text cannot be wrong.
    Raises: MalformedRecord if `messages` is not a list of objects with these keys; UnknownRole if a role is not in
    `roles`.
    """
    if not isinstance(messages, list):
        raise MalformedRecord(what=f"its messages are {value_type(messages)}, not a list")
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping):
            raise MalformedRecord(what=f"message {number} is {value_type(message)}, not an object")
        for role_key, key in keys:  # noqa: B007 - both are used after the loop
            if (name := message.get(role_key)) is not None:
                break
        else:
            raise MalformedRecord(what=f"message {number} has no key {' or '.join(role for role, _ in keys)}")
        if not message.keys().isdisjoint(("image", "images")):
            inner = "image" if "image" in message else "images"
            if not is_missing(message[inner]):
                raise MalformedRecord(what=f"message {number} has the key {inner}, which only a record may have")
        role = _role(name, roles)
        if key not in message:
            key = _content_key(message, key, keys, f"message {number} ({name})")
        content = message[key]
        yield "" if isinstance(content, str) else f"the {key} of message {number} ({name})", role, content


def _content_key(message: Mapping[str, Any], usual: str, keys: tuple[tuple[str, str], ...], name: str) -> str:
    """Return the key of the content of a message that lacks the usual one. Raises: MalformedRecord if it has none."""
    for _, key in keys:
        if key in message:
            return key
    seen = ", ".join(str(key) for key in list(message)[:_KEYS_SHOWN])
    raise MalformedRecord(what=f"{name} has no key {usual} with its text; its keys are {seen}")


def with_system(turns: list[Turn], record: Mapping[str, Any], layout: Layout) -> list[Turn]:
    """Put the record's system prompt before the messages, unless they begin with one.

    Raises: MalformedRecord if it is not text.
    """
    key = layout.key(record, "system", SYSTEM_KEYS)
    if key not in record:
        return turns
    text = cell_text(record.get(key), f"its {key}")
    if not text or (turns and turns[0].role == "system"):
        return turns
    return [Turn("system", (text,)), *turns]


def _chosen_messages(
    record: Mapping[str, Any],
    messages: list[tuple[str, str, Any]],
    keys: tuple[tuple[str, str], ...],
    roles: Mapping[str, str],
) -> Iterator[tuple[str, str, Any]]:
    """Yield the chosen answer of a preference pair, if its `messages` have no answer."""
    chosen = record.get("chosen")
    if is_missing(chosen) or is_missing(record.get("rejected")):
        return
    if any(role == "assistant" for _, role, _ in messages):
        return
    if isinstance(chosen, list | Mapping):
        yield from read_messages(chosen if isinstance(chosen, list) else [chosen], keys, roles)
    else:
        yield "its chosen answer", "assistant", chosen


def _role(name: Any, roles: Mapping[str, str]) -> str:
    if isinstance(name, str):
        if name in roles:
            return roles[name]
        known = {**_OTHER_ROLES, **roles}
        role = known.get(name, known.get(name.strip().lower()))
        if role is not None:
            return role
    raise UnknownRole(role=as_json(name), valid=", ".join(roles))
