"""Hostile contents of data files, by name. Each is tried under every suffix that is read."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zlib
from typing import Any

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".json.gz", ".tar", ".parquet")
ESCAPES = "\x1b]0;title\x07\x1b[2J\u202e\u2066\x9b31m"
_RECORD = {"id": "a", "image": "a.png", "question": "What?", "answer": "A cat."}


def _records(*changes: dict[str, Any]) -> bytes:
    return json.dumps([_RECORD | change for change in changes]).encode()


def _deep(depth: int, brackets: str = "[]") -> bytes:
    opened = brackets[0] + ('"a":' if brackets[0] == "{" else "")
    return (opened * depth + "1" + brackets[1] * depth).encode()


def _tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, content in members:
            info.size = info.size or len(content)
            archive.addfile(info, io.BytesIO(content.ljust(info.size, b"\0")))
    return buffer.getvalue()


def _member(name: str, content: bytes = b"{}", **facts: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, content


def _parquet(**columns: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _named_twice() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    cells = [pa.array(["a"])] * 3
    pq.write_table(pa.Table.from_arrays(cells, names=["image", "question", "question"]), sink)
    return sink.getvalue()


def _dates(unit: str, zone: str | None) -> bytes:
    import pyarrow as pa

    stamps = pa.array([2**62, -(2**62), 0, None], pa.timestamp(unit, zone))
    texts = {name: ["a"] * 4 for name in ("image", "question", "answer")}
    return _parquet(**texts, created=stamps)


def _not_text() -> bytes:
    import pyarrow as pa

    broken = pa.StringArray.from_buffers(2, pa.py_buffer(struct.pack("<3i", 0, 1, 3)), pa.py_buffer(b"\xffab"))
    return _parquet(image=["a", "b"], question=broken, answer=["a", "b"])


def _odd_types() -> bytes:
    import decimal

    import pyarrow as pa

    return _parquet(
        id=pa.array([decimal.Decimal("1.5")] * 2), image=pa.array([b"\x89PNG", None]), question=["a", None],
        answer=pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), more=pa.array([1, 2], pa.duration("s")),
        half=pa.array([0.5, None], pa.float16()), inner=pa.array([{"a": [b"x"]}, None]),
    )  # fmt: skip


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bytes(13)

TEXTS: dict[str, bytes] = {
    "empty": b"",
    "NUL": b"\0" * 600,
    "blank": b" \n\r\t\n",
    "mark only": b"\xef\xbb\xbf",
    "wide mark": b"\xff\xfe",
    "bytes": bytes(range(256)) * 3,
    "null": b"null",
    "number": b"1e999",
    "text": b'"x"',
    "list of null": b"[null, null]",
    "deep list": _deep(100_000),
    "deep object": _deep(100_000, "{}"),
    "open lists": b"[" * 100_000,
    "open objects": b'{"a":' * 50_000,
    "closed": b"]" * 1000,
    "one deep record": b"[" + _deep(5000) + b"]",
    "a deep field": b'[{"image":"a.png","question":"q","answer":"a"},{"x":' + _deep(5000) + b"}]",
    "deep in an object": b'{"data": [{"x":' + _deep(5000) + b'},{"image":"a","question":"q","answer":"a"}]}',
    "deep lines": (b'{"x":' + _deep(2000) + b"}\n") * 20,
    "long number": b"[" + b"9" * 50_000 + b"]",
    "long negative": b"-" * 5000,
    "many digits": b'[{"id":' + b"1" * 5000 + b"}]",
    "NaN": b"[NaN, Infinity, -Infinity]",
    "escapes": _records({"id": ESCAPES, "question": ESCAPES, "image": ESCAPES}),
    "lone halves": b'[{"id":"\\ud800"}]',
    "latin": '[{"question":"señor"}]'.encode("latin-1"),
    "utf-16": json.dumps([_RECORD]).encode("utf-16"),
    "cut utf-16": json.dumps([_RECORD]).encode("utf-16")[:-1],
    "utf-32": json.dumps([_RECORD]).encode("utf-32"),
    "utf-7": b"+AFsAewB9AF0-",
    "same id": _records(*({"id": "same"} for _ in range(50))),
    "ids": _records(*({"id": id} for id in (None, True, 1.5, [], {}, "", "\0", "a/b", "../x", "x" * 10_000))),
    "paths": _records(
        *(
            {"image": path}
            for path in (
                "../../etc/passwd",
                "/etc/passwd",
                "file:///etc/passwd",
                "http://127.0.0.1/x.png",
                "\\\\host\\share",
                "C:\\a",
                "data:image/png;base64,AAAA",
                "a" * 5000,
                "a/" * 3000,
                "~/x",
                "$HOME/x",
                "|ls",
                "a\0b",
                "con",
                ".",
                "..",
                "/",
            )
        )
    ),
    "images": _records(*({"image": value} for value in (1, True, [[]], [{}], {"path": "/etc/passwd"}, {"bytes": "x"}))),
    "no image": _records({"image": None}),
    "turns": _records({"conversations": [{"from": "x"}]}),
    "roles": _records({"conversations": [{"from": role, "value": "<image>"} for role in ("gpt", "human", "system")]}),
    "markers": _records(
        {"conversations": [{"from": "human", "value": "<image>" * 1000}, {"from": "gpt", "value": ""}]}
    ),
    "columns": b'{"image": ["a"], "question": ["q"], "answer": ["a"]}',
    "by id": b'{"a": {"image": 1}, "b": null}',
    "two keys": b'{"data": [], "data": [{}]}',
    "splits": b'{"test": [{}], "dev": [{}]}',
    "comment": b"// x\n[]",
    "python": b"[{'a': None, 'b': True}]",
    "html": b"<!doctype html><html>",
    "pickle": b"\x80\x04\x95cos\nsystem\n",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "zip": b"PK\x03\x04" + bytes(60),
    "commas": b"," * 50_000,
    "quotes": b'"' * 50_001,
    "quoted lines": b'image,answer\n"' + b"a\n" * 5000,
    "header twice": b"a,a,b\n1,2,3\n",
    "formula": b'image,question,answer\na.png,"=cmd|x!A0","@SUM(1)"\n',
    "separator": b"sep=|\nimage|question|answer\na|b|c\n",
    "ragged": b"image,question,answer\na\na,b,c,d,e\n,,\n",
    "carriage returns": b"image,question,answer\ra,b,c\r\r\n",
    "NUL cells": b"image,question,answer\n\0,\0,\0\n",
    "gzip of nothing": gzip.compress(b""),
    "cut gzip": gzip.compress(b"[{}]" * 1000)[:-9],
    "gzip in gzip": gzip.compress(gzip.compress(b"[]")),
    "bad gzip": b"\x1f\x8b\x08\x00" + b"x" * 50,
    "zlib": zlib.compress(b"[]"),
}

TARS: dict[str, bytes] = {
    "links": _tar([_member("a.png", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), _member("a.json")]),
    "hard links": _tar([_member("a.png", b"", type=tarfile.LNKTYPE, linkname="b"), _member("a.json")]),
    "devices": _tar([_member("a.png", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5), _member("a.json")]),
    "fifo": _tar([_member("a.png", b"", type=tarfile.FIFOTYPE), _member("a.json")]),
    "outside": _tar([_member("../a.png", PNG), _member("../a.json")]),
    "absolute": _tar([_member("/etc/a.png", PNG), _member("/etc/a.json")]),
    "twice": _tar([_member("a.png", PNG), _member("a.png", PNG), _member("a.json")]),
    "apart": _tar([_member("a.png", PNG), _member("b.png", PNG), _member("a.json"), _member("b.json")]),
    "no stem": _tar([_member(".png", PNG), _member(".json")]),
    "no suffix": _tar([_member("a", PNG), _member("b")]),
    "long name": _tar([_member("a" * 3000 + ".png", PNG), _member("a" * 3000 + ".json")]),
    "escapes": _tar([_member(f"{ESCAPES}.png", PNG), _member(f"{ESCAPES}.json", b'{"x":1}')]),
    "deep": _tar([_member("a.png", PNG), _member("a.json", _deep(50_000))]),
    "not JSON": _tar([_member("a.png", PNG), _member("a.json", b"\xff{")]),
    "texts": _tar([_member("a.txt", b"\xff\0")]),
    "cut at a member": _tar([_member("a.png", PNG), _member("a.json"), _member("b.png", PNG), _member("b.json")])[
        :2048
    ],
    "cut between samples": _tar([_member("a.png", PNG), _member("a.json", json.dumps(_RECORD).encode())])[:2048],
    "cut in a member": _tar([_member("a.png", PNG), _member("a.json", b"{" + b" " * 2000 + b"}")])[:1700],
    "cut in a header": _tar([_member("a.png", PNG), _member("a.json")])[:1100],
    "huge size": _tar([_member("a.png", PNG), _member("a.json")]).replace(b"00000000002\0", b"77777777777\0", 1),
    "negative size": _tar([_member("a.png", PNG), _member("a.json")]).replace(b"00000000002\0", b"\xff" * 12, 1),
    "only zeros": bytes(10_240),
    "bad header": b"x" * 10_240,
}

TABLES: dict[str, Any] = {
    "named twice": _named_twice,
    "not text": _not_text,
    "odd types": _odd_types,
    "empty": lambda: _parquet(image=[], question=[], answer=[]),
    "no columns": lambda: _parquet(),
    "null": lambda: _parquet(image=[None], question=[None], answer=[None]),
    **{
        f"dates {unit} {zone}": (lambda unit=unit, zone=zone: _dates(unit, zone))
        for unit in ("ms", "us", "ns")
        for zone in (None, "UTC", "Mars/Base")
    },
    "a URL": lambda: _parquet(image=[{"bytes": None, "path": "http://127.0.0.1/a.png"}], question=["q"], answer=["a"]),
    "a path": lambda: _parquet(image=[{"bytes": None, "path": "/etc/passwd"}], question=["q"], answer=["a"]),
    "cut": lambda: _parquet(image=["a"] * 9, question=["q"] * 9, answer=["a"] * 9)[:-30],
    "no magic": lambda: _parquet(image=["a"], question=["q"], answer=["a"])[4:],
    "footer length": lambda: _parquet(image=["a"], question=["q"], answer=["a"])[:-8] + b"\xff\xff\xff\x7fPAR1",
    "zeroed pages": lambda: (lambda data: data[:4] + bytes(60) + data[64:])(
        _parquet(image=["a"], question=["q"], answer=["a"])
    ),
}

DESCRIPTIONS: dict[str, Any] = {
    "a file outside": {"a": {"file_name": "../data.json"}},
    "an absolute file": {"a": {"file_name": "/etc/passwd"}},
    "itself": {"a": {"file_name": "dataset_info.json"}},
    "a folder": {"a": {"file_name": "."}},
    "no text": {"a": {"file_name": 1}},
    "a list": [1],
    "columns": {"a": {"file_name": "data.json", "columns": [1]}},
    "tags": {"a": {"file_name": "data.json", "tags": {"role_tag": None}}},
    "half": {"a": {"file_name": "\ud800"}},
    "formatting": {"a": {"file_name": "data.json", "formatting": {"x": 1}}},
    "nothing": {},
    "null": None,
    "deep": {"a": {"file_name": "data.json", "columns": {"messages": "m" * 5000}}},
}
STATES: dict[str, Any] = {
    "a file outside": {"_data_files": [{"filename": "../x.arrow"}]},
    "nothing": {},
    "null": None,
    "a list": [],
    "an absolute file": {"_data_files": [{"filename": "/etc/passwd"}]},
    "no file": {"_data_files": [{"filename": ""}]},
    "itself": {"_data_files": [{"filename": "state.json"}]},
    "NUL": {"_data_files": [{"filename": "a\0b"}]},
    "numbers": {"_data_files": [1, 2]},
    "half": {"_data_files": [{"filename": "\ud800"}]},
    "many": {"_data_files": [{"filename": "state.json"}] * 5000},
    "a URL": {"_data_files": [{"filename": "hf://x"}]},
}
