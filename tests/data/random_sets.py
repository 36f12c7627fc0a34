"""Makes random data sets: records of all formats, in every layout and encoding, many of them damaged.

Everything follows from one generator of random numbers, so a seed gives the same data set again.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from bye_core.data import FORMATS
from tests.data import sets
from tests.data.random_records import ANSWERS, KEYS, NAMES, PNG, RecordMaker

MANY = 40  # records of a large data set
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "latin-1", "cp1252", "gb18030")


@dataclass
class RandomSet:
    """A data set in a folder of its own.

    path     what to read
    folder   holds all of its files
    options  the keyword arguments of `load_dataset`
    kind     how it is stored, for statistics
    """

    path: Path
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    kind: str = ""


@cache
def _pictures() -> dict[str, bytes]:
    """Return small image files by name."""
    files = {name: sets.png(sets.picture(k, (6 + k, 5))) for k, name in enumerate(NAMES)}
    files["images/deep/2.jpg"] = sets.png(sets.picture(7), "JPEG")
    files["images/broken.png"] = PNG[:60]
    return files


def make_set(random: Random, folder: Path) -> RandomSet:
    """Write a random data set to the new folder `folder`."""
    for name, data in _pictures().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    maker = _Maker(random, folder)
    kind = random.choice(KINDS)
    made = RandomSet(getattr(maker, f"store_{kind}")(), folder, kind=kind)
    if random.random() < 0.15 and made.path.is_file():
        made.path = made.path.parent
    made.options = maker.options()
    return made


KINDS = (
    "file", "file", "file", "file", "table", "table", "splits", "split_folders", "shards", "info", "parquet", "saved",
    "saved_splits", "tar", "hostile",
)  # fmt: skip


class _Maker(RecordMaker):
    """Writes the files of one data set."""

    def records(self) -> list[Any]:
        count = MANY if self.chance(0.02) else self.random.choice((1, 2, 3, 4, 6))
        found = [self.record() for _ in range(count)]
        if self.chance(0.05):
            found.insert(self.random.randrange(count + 1), self.junk())
        return found

    def store_file(self) -> Path:
        return self.write_json(self.folder / self.random.choice(("data.json", "data.jsonl", "data.ndjson", "é.json")))

    def store_table(self) -> Path:
        """Write a CSV file with the keys of the records as columns."""
        self.formats = [name for name in self.formats if name in FLAT] or list(FLAT)
        rows = [
            {key: self.cell(value) for key, value in row.items()} for row in self.records() if isinstance(row, dict)
        ]
        columns = list(dict.fromkeys(key for row in rows for key in row)) or ["image"]
        text = io.StringIO()
        dialect: dict[str, Any] = {
            "delimiter": self.random.choice(",,;\t"), "lineterminator": self.random.choice(("\n", "\r\n", "\r")),
            "quoting": self.random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
        }  # fmt: skip
        writer = csv.DictWriter(text, columns, **dialect)
        writer.writeheader()
        writer.writerows(rows)
        name = self.random.choice(("data.csv", "metadata.csv", "data.tsv", "data.csv.gz"))
        return self.write(self.folder / name, text.getvalue())

    def cell(self, value: Any) -> Any:
        if isinstance(value, list | dict):
            texts = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
            return str(value) if texts and self.chance(0.5) else json.dumps(value)
        return value

    def store_splits(self) -> Path:
        names = self.random.sample(("train", "test", "validation", "other", "val"), self.random.choice((2, 3)))
        for name in names:
            self.write_json(self.folder / f"{name}.json")
        return self.folder

    def store_split_folders(self) -> Path:
        for name in self.random.sample(("train", "test", "val", "data"), 2):
            (self.folder / name).mkdir()
            self.write_json(self.folder / name / self.random.choice(("data.json", "metadata.jsonl", "metadata.csv")))
        return self.folder

    def store_shards(self) -> Path:
        count, suffix = self.random.choice((2, 3)), self.random.choice(("json", "jsonl"))
        for number in range(count):
            if not self.chance(0.1):
                self.write_json(self.folder / f"train-{number:05d}-of-{count:05d}.{suffix}")
        return self.folder

    def store_info(self) -> Path:
        """Write a data file and LLaMA-Factory's dataset_info.json."""
        folder = self.folder / self.random.choice(("", "", "sub"))
        folder.mkdir(exist_ok=True)
        file = self.write_json(folder / "mine.json")
        entry: dict[str, Any] = {"file_name": os.path.relpath(file, self.folder)}
        if self.chance(0.6):
            entry["formatting"] = self.random.choice(("sharegpt", "alpaca", "openai"))
        if self.chance(0.5):
            entry["columns"] = {
                "messages": self.random.choice(("conversations", "messages")), "images": "images",
                "prompt": "instruction", "query": "input", "response": "output",
            }  # fmt: skip
        if self.chance(0.3):
            entry["tags"] = {"role_tag": self.random.choice(("from", "role")), "content_tag": "value"}
        info = {"mine": self.damaged(entry) if self.chance(self.faults) else entry}
        if self.chance(0.2):
            info["other"] = {"file_name": "other.json"}
        (self.folder / "dataset_info.json").write_text(json.dumps(self.damaged(info) if self.chance(0.05) else info))
        return file if self.chance(0.5) else self.folder

    def rows(self) -> Any:
        """Return an Arrow table of the records, of one format: a table has one type for each column."""
        import pyarrow as pa

        self.formats = self.formats[:1]
        records = [record for record in self.records() if isinstance(record, dict)]
        for record in records:
            for key in ("image", "images"):
                if key in record and self.chance(0.7):
                    cell = {"bytes": PNG, "path": None}
                    record[key] = [cell] if key == "images" else cell
        try:
            table = pa.Table.from_pylist(records)
            with pa.ipc.new_stream(pa.BufferOutputStream(), table.schema) as writer:
                writer.write_table(table)  # fails if lists are nested too deeply
            return table
        except (pa.ArrowException, UnicodeEncodeError, OverflowError, RecursionError, TypeError, ValueError):
            texts = [{str(key): _cell_text(value) for key, value in record.items()} for record in records]
            return pa.Table.from_pylist(texts)

    def store_parquet(self) -> Path:
        import pyarrow.parquet as pq

        table, path = self.rows(), self.folder / self.random.choice(("data.parquet", "train-00000-of-00001.parquet"))
        try:
            pq.write_table(table, path, row_group_size=self.random.choice((1, 2, 100)))
        except Exception:  # noqa: BLE001 - some types have no form in parquet
            return self.store_file()
        return self.damage_file(path)

    def store_saved(self, folder: Path | None = None) -> Path:
        """Write what `save_to_disk` of the library `datasets` writes."""
        import pyarrow as pa

        folder, table = folder or self.folder, self.rows()
        folder.mkdir(exist_ok=True)
        file = folder / "data-00000-of-00001.arrow"
        with pa.OSFile(str(file), "wb") as opened, pa.ipc.new_stream(opened, table.schema) as writer:
            writer.write_table(table, max_chunksize=self.random.choice((1, 1000)))
        state: Any = {"_data_files": [{"filename": file.name}], "_fingerprint": "0", "_split": "train"}
        (folder / "state.json").write_text(json.dumps(self.damaged(state) if self.chance(0.05) else state))
        (folder / "dataset_info.json").write_text("{}")
        self.damage_file(file)
        return folder

    def store_saved_splits(self) -> Path:
        names = self.random.sample(("train", "test", "val", "x"), 2)
        for name in names:
            self.store_saved(self.folder / name)
        (self.folder / "dataset_dict.json").write_text(json.dumps({"splits": names}))
        return self.folder

    def store_tar(self) -> Path:
        path = self.folder / self.random.choice(("data-000000.tar", "train.tar"))
        with tarfile.open(path, "w", format=self.random.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as archive:
            for number in range(self.random.choice((1, 3, 5))):
                stem = self.random.choice((f"{number:05d}", f"a/{number}", f"é.{number}", "00000"))
                record = self.record()
                files = {"jpg": PNG, "json": json.dumps(record).encode(), "txt": self.text(ANSWERS), "cls": "3"}
                files |= {"png": PNG, "mp4": b"x", "seg.png": PNG, "__key__": "k"}
                for kind in self.random.sample(tuple(files), self.random.choice((2, 2, 3, 4))):
                    data = files[kind]
                    data = data.encode("utf-8", "replace") if isinstance(data, str) else data
                    info = tarfile.TarInfo(f"{stem}.{kind}")
                    info.size = len(data)
                    if self.chance(0.02):
                        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                    archive.addfile(info, io.BytesIO(data))
        return self.damage_file(path)

    def store_hostile(self) -> Path:
        """Write a file that no program would write."""
        many = self.random.choice((10, 1000, 20_000))
        contents: tuple[Callable[[], bytes], ...] = (
            lambda: b"[" * many,
            lambda: b'[{"image": "images/0.png", "conversations": ' + b"[" * many + b"]" * many + b"}]",
            lambda: b'{"a": ' * many + b"1" + b"}" * many,
            lambda: b'[{"id": ' + b"9" * many + b', "image": "images/0.png", "question": "a", "answer": "b"}]',
            lambda: b'{"image": "images/0.png", "question": "a", "answer": 1e' + b"9" * many + b"}",
            lambda: self.random.randbytes(min(many, 2000)),
            lambda: b"\x00" * many,
            lambda: b"",
            lambda: b"\n" * many,
            lambda: b'{"image": "images/0.png", "question": "a", "answer": "' + b"\\ud800" * many + b'"}',
            lambda: b'"' * many,
            lambda: gzip.compress(b" " * (many * 100)),
            lambda: gzip.compress(gzip.compress(b"[]")),
            lambda: b"image,question,answer\n" + b'"' * many,
            lambda: b"\x1f\x8b" + self.random.randbytes(50),
            lambda: b"{} " * many,
            lambda: b"[" + b"{}," * many + b"{}]",
            lambda: b"null\n" * many,
            lambda: b"PAR1" + self.random.randbytes(200) + b"PAR1",
        )
        names = ("data.json", "data.jsonl", "data.csv", "data.parquet", "data.tar", "data.json.gz", "data.txt")
        path = self.folder / self.random.choice(names)
        path.write_bytes(self.random.choice(contents)())
        return path

    def write_json(self, path: Path) -> Path:
        records, lines = self.records(), "lines" if path.suffix in (".jsonl", ".ndjson") else "list"
        style = lines if self.chance(0.7) else self.random.choice(STYLES)
        if path.suffix == ".csv":
            rows = [row for row in records if isinstance(row, dict)]
            sets.write_csv(path, [{"file_name": self.path(), "question": "a", "answer": "b"} for _ in rows or [1]])
            return path
        return self.write(path, self.styled(records, style))

    def styled(self, records: list[Any], style: str) -> str:
        """Return the records as JSON text."""
        plain = self.chance(0.5)

        def dump(value: Any, indent: int | None = None) -> str:
            return json.dumps(value, ensure_ascii=plain, indent=indent)

        wrappers: dict[str, Callable[[], str]] = {
            "list": lambda: dump(records),
            "pretty": lambda: dump(records, 2),
            "lines": lambda: "".join(f"{dump(record)}\n" for record in records),
            "blank lines": lambda: "\n\n".join(dump(record) for record in records),
            "objects": lambda: "\n".join(dump(record, 2) for record in records),
            "commas": lambda: ",\n".join(dump(record) for record in records),
            "by id": lambda: dump({f"k{k}": record for k, record in enumerate(records)}),
            "same keys": lambda: "{" + ", ".join(f'"k": {dump(record)}' for record in records) + "}",
            "data": lambda: dump({"version": "1", "data": records}, self.random.choice((None, 1))),
            "nested": lambda: dump({"a": {"b": {"annotations": records}}}),
            "splits": lambda: dump({"train": records, "test": records[:1], "info": {"n": 1}}),
            "two lists": lambda: dump({"a": records, "b": records}),
            "coco": lambda: dump(
                {"images": [{"id": 1, "file_name": self.path()}], "annotations": [{"image_id": 1, "caption": "a"}] * 2}
            ),
            "columns": lambda: dump({"image": [self.path()] * 2, "question": ["a", "b"], "answer": ["c", "d"]}),
            "single": lambda: dump(records[0]),
            "list lines": lambda: "".join(f"[{dump(record)}]\n" for record in records),
            "lists": lambda: dump(records) + dump(records),
            "python": lambda: str(records),
            "last comma": lambda: dump(records)[:-1] + ",]",
            "comment": lambda: f"// records\n{dump(records)}",
            "twice a key": lambda: (
                f'[{{"image": "x", {dump(record)[1:] if isinstance(record := records[0], dict) else "}"}]'
            ),
        }
        return wrappers[style]()

    def write(self, path: Path, text: str) -> Path:
        """Write a text in a random encoding, perhaps damaged or compressed."""
        if self.chance(0.15) and path.suffix != ".csv":
            text = text.replace("\n", self.random.choice(("\r\n", "\r")))
        encoding = self.random.choice(ENCODINGS) if self.chance(0.12) else "utf-8"
        errors = "surrogatepass" if encoding.startswith("utf") else "replace"
        data = self.damaged_bytes(text.encode(encoding, errors))
        if path.suffix == ".gz" or self.chance(0.05):
            data = gzip.compress(data, 1)
            if self.chance(0.5) and path.suffix != ".gz":
                path = path.with_name(f"{path.name}.gz")
            data = self.damaged_bytes(data)
        path.write_bytes(data)
        return path

    def damage_file(self, path: Path) -> Path:
        data = path.read_bytes()
        if (damaged := self.damaged_bytes(data)) is not data:
            path.write_bytes(damaged)
        return path

    def damaged_bytes(self, data: bytes) -> bytes:
        if not data or not self.chance(max(0.03, self.faults / 4)):
            return data
        at = self.random.randrange(len(data))
        change = self.random.randrange(5)
        if change == 0:
            return data[:at]
        if change == 1:
            return data[:at] + bytes([data[at] ^ (1 << self.random.randrange(8))]) + data[at + 1 :]
        if change == 2:
            return data[:at] + self.random.randbytes(self.random.choice((1, 4))) + data[at:]
        if change == 3:
            return data[:at] + data[at + self.random.randrange(20) :]
        return (
            data[:at]
            + self.random.choice((b"\x00", b"\xff", b"\n", b"\r", b'"', b"}", b"]", b",", b"\xef\xbb\xbf"))
            + data[at:]
        )

    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.chance(0.15):
            options["format"] = self.random.choice((*FORMATS, "no-such-format"))
        if self.chance(0.08):
            columns = ("id", "image", "images", "question", "answer", "messages", "prompt", "caption", "query", "x")
            options["columns"] = {self.random.choice(columns): self.random.choice(KEYS) for _ in range(2)}
        if self.chance(0.12):
            options["split"] = self.random.choice(("train", "test", "val", "validation", "mine", "data", "a", "no"))
        if self.chance(0.1):
            options["question"] = self.random.choice(("Describe it.", "<image>\nWhat?", "é", "x\x00"))
        if self.chance(0.15):
            options["strict_ids"] = True
        return options


def _cell_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", "replace").decode()


FLAT = ("imagefolder", "vqa", "captions", "alpaca", "swift")
STYLES = (
    "list", "pretty", "lines", "blank lines", "objects", "commas", "by id", "same keys", "data", "nested", "splits",
    "two lists", "coco", "columns", "single", "list lines", "lists", "python", "last comma", "comment", "twice a key",
)  # fmt: skip
