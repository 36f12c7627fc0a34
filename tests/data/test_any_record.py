"""Any mix of records is read or refused: every record is a sample or has one fault."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bye_core.data import FORMATS
from bye_core.data.formats.base import CannotConvert
from bye_core.errors import ByeError
from tests.data import sets
from tests.data.records import ANSWER as A
from tests.data.records import GOOD, png64, read, say
from tests.data.records import QUESTION as Q

KEYS = [
    "id", "image", "images", "file_name", "question", "answer", "answers", "choices", "conversations", "messages",
    "system", "from", "value", "role", "content", "type", "text", "url", "path", "image_url", "bytes", "base64",
    "source", "data", "video", "query", "response", "history", "instruction", "output", "prompt", "completion",
    "chosen", "rejected", "label", "caption", "captions",
]  # fmt: skip
ATOMS = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 3.5, float("nan"), float("inf"), 10**30, "", " ", "x", "human", "gpt", "user",
        "assistant", "text", "image", "image_url", "video", "<image>", "<image>\nWhat?", "<video>", "<image1> <image2>",
        "<image99>", "images/0.png", "../x", "https://x/y", "<img> images/0.png </img>", "data:,", "\x00", "\ud800",
        '["images/0.png"]', "['a']", "[[[", "nan", png64(), f"data:image/png;base64,{png64()}", f"{png64()}*",
    ]
)  # fmt: skip
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
LAYOUTS = st.sampled_from(
    [
        {"id": 1, "image": "images/0.png", "conversations": sets.talk(A)},
        {"id": "1", "images": ["images/0.png"], "messages": say()},
        {"messages": say([{"type": "image", "image": png64()}, {"type": "text", "text": Q}])},
        {"image": "images/0.png", "question": Q, "answer": A},
        {"file_name": "images/0.png", "caption": A},
        {"query": f"<image>{Q}", "response": A, "images": ["images/0.png"], "history": [["a", "b"]]},
        {"instruction": f"<image>{Q}", "output": A, "images": ["images/0.png"]},
        {"prompt": say(Q)[:1], "chosen": say(Q)[1:], "rejected": "no", "images": ["images/0.png"]},
        {"conversations": sets.talk(A, Q)},
        {},
    ]
)
CHANGES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=2)
RECORDS = st.builds(lambda record, changes: {**record, **changes}, LAYOUTS, CHANGES)


@given(records=st.lists(RECORDS | VALUES, min_size=1, max_size=6), strict=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mix_of_records_is_read_or_refused(records: list, strict: bool, tmp_path: Path) -> None:
    try:
        data = read(tmp_path, {**GOOD, "id": 0}, *records, strict_ids=strict)
    except ByeError:
        return  # no record has a known format
    assert len(data.samples) + len(data.faults) == data.size == len(records) + 1
    assert {sample.index for sample in data.samples} | {fault.index for fault in data.faults} == set(range(data.size))
    assert len(data.by_id) == len(data.samples)
    assert {sample.id for sample in data.text_only} <= {fault.id for fault in data.faults}
    for fault in data.faults:
        words = fault.problem + fault.remedy
        assert words.isprintable()
        assert not any(odd in words for odd in ("NoneType", "<class", " object at 0x", "None", png64()[:40]))
    for sample in data.samples:
        assert data.parsed_record(sample).turns == sample.turns
        for form in FORMATS.values():
            with suppress(CannotConvert):
                json.dumps(form.write(sample.id, sample.turns, sample.images))
