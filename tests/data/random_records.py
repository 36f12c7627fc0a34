"""Makes random records of every format, sound or damaged, from one generator of random numbers."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from tests.data import sets

WORDS = ("What is it?", "Describe it.", "¿Qué es?", "これは何", "a\nb", 'Is it red; or blue, or "green"?', "x" * 300)
ANSWERS = ("cat", "a dog", "ein „Vogel“", "42", "yes\n", "= 1 + 1", "n/a", "nan")
STRAY = (
    "<image>", "<image>\n", "<video>", "<img>", "</img>", "<image1>", "<image_2>", "<|image_1|>", "<|im_end|>", "<bos>",
    "<image_soft_token>", "<img>images/0.png</img>", "\\u0000", "\x7f", "\u202e", "\ufeff", "{path}", "%s",
)  # fmt: skip
BAD_TEXT = ("\x00", "\ud800", "a\udcff", "\x1b[31m")
NAMES = ("images/0.png", "images/1.png", "images/deep/2.jpg", "é ü.png", "100%41.png", "images/broken.png")
PNG = sets.png(sets.picture(0, (8, 8)))
BASE64 = base64.b64encode(PNG).decode()
KEYS = (
    "id", "image", "images", "file_name", "question", "answer", "answers", "choices", "conversations", "messages",
    "system", "from", "value", "role", "content", "type", "text", "url", "path", "image_url", "bytes", "base64",
    "source", "data", "video", "query", "response", "history", "instruction", "input", "output", "prompt",
    "completion", "chosen", "rejected", "label", "caption", "captions", "question_id", "", "ключ",
)  # fmt: skip


class RecordMaker:
    """Makes records that name the images of a folder. Each data set has its own share of damaged records."""

    def __init__(self, random: Random, folder: Path) -> None:
        self.random, self.folder = random, folder
        self.faults = random.choice((0.0, 0.0, 0.1, 0.5))  # share of damaged records
        self.odd = random.choice((0.0, 0.0, 0.3))  # share of odd paths and texts
        self.formats = random.sample(BUILDERS, random.choice((1, 1, 1, 2, 4)))
        self.spelling = random.choice(SPELLINGS)

    def chance(self, share: float) -> bool:
        """Return True with this probability; the simplest number of a generator that shrinks gives False."""
        return self.random.random() >= 1 - share

    # The values of records.

    def text(self, words: tuple[str, ...]) -> str:
        text = self.random.choice(words)
        if self.chance(self.odd / 3):
            text = self.random.choice(("{0}{1}", "{1}{0}", "{1}")).format(text, self.random.choice(STRAY))
        return text + self.random.choice(BAD_TEXT) if self.chance(self.odd / 12) else text

    def question(self, images: int = 1, marker: str = "<image>\n") -> str:
        return marker * images + self.text(WORDS)

    def answer(self) -> Any:
        if self.chance(0.9):
            return self.text(ANSWERS)
        return self.random.choice(
            (7, 1.5, ["a", "b"], [{"answer": "a"}], {"text": "a"}, True, None, float("nan"), "", [])
        )

    def path(self) -> str:
        name = self.random.choice(NAMES[:5] if self.chance(0.95) else NAMES)
        spelling = self.random.choice(SPELLINGS) if self.chance(self.odd) else self.spelling
        return spelling(name, self.folder)

    def image(self, cells: bool = True) -> Any:
        """Return an image as records name it: mostly a path."""
        if not cells or self.chance(0.85):
            return self.path()
        return self.random.choice(
            (
                BASE64, f"data:image/png;base64,{BASE64}", {"bytes": BASE64}, {"path": self.path()},
                {"url": self.path()},
                {"bytes": None, "path": self.path()}, {"image_url": {"url": self.path()}}, f"{BASE64[:-6]}*",
                f"data:image/png;base64,{BASE64[:50]}", {"bytes": BASE64, "path": "x.png"}, "data:,", [self.path()],
            )
        )  # fmt: skip

    def record(self) -> Any:
        record = getattr(self, f"record_{self.random.choice(self.formats)}")()
        if self.chance(0.6):
            record = {"id": self.id(), **record}
        if self.chance(0.1):
            record["system"] = self.text(WORDS)
        if self.chance(0.1):
            record[self.random.choice(("source", "n", "label", "split", "meta"))] = self.random.choice(
                (1, 1.50, "x", None, {})
            )
        return self.damaged(record) if self.chance(self.faults) else record

    def id(self) -> Any:
        if self.chance(0.7):
            return f"r{self.random.randrange(10**6)}"
        return self.random.choice((1, "1", 1.0, 10**25, "a", "a", "a#2", "record-000001", "", 0, -1, "é", "a b", None))

    def damaged(self, record: Any) -> Any:
        """Return the record with a value somewhere inside it replaced, deleted or added."""
        for _ in range(self.random.choice((1, 1, 2))):
            record = self.replaced(record)
        return record

    def replaced(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, dict) and value and self.chance(0.9 if depth else 0.97):
            key, change = self.random.choice(list(value)), self.random.random()
            if change < 0.1:
                return {other: entry for other, entry in value.items() if other != key}
            if change < 0.2:
                return {**value, self.random.choice(KEYS): self.junk()}
            if change < 0.25:
                return {(self.random.choice(KEYS) if other == key else other): entry for other, entry in value.items()}
            return {**value, key: self.replaced(value[key], depth + 1)}
        if isinstance(value, list) and value and self.chance(0.85):
            at, change = self.random.randrange(len(value)), self.random.random()
            if change < 0.15:
                return value[:at] + value[at + 1 :]
            if change < 0.25:
                return value[: at + 1] + value[at:]
            return [*value[:at], self.replaced(value[at], depth + 1), *value[at + 1 :]]
        return self.junk()

    def junk(self, depth: int = 0) -> Any:
        kind = self.random.random()
        if depth < 3 and kind < 0.15:
            return [self.junk(depth + 1) for _ in range(self.random.randrange(3))]
        if depth < 3 and kind < 0.35:
            return {self.random.choice(KEYS): self.junk(depth + 1) for _ in range(self.random.randrange(3))}
        if kind < 0.36:
            value: Any = "x"
            for _ in range(200):
                value = [value]
            return value
        return self.random.choice((*JUNK, self.image(), self.answer(), self.path()))

    # The records of the formats.

    def talk(self, names: tuple[str, str], human: str, gpt: str, images: int, marker: str = "<image>\n") -> list[Any]:
        role, content = names
        talk = [{role: human, content: self.question(images, marker)}, {role: gpt, content: self.answer()}]
        for _ in range(self.random.choice((0, 0, 0, 1, 2))):
            talk += [{role: human, content: self.text(WORDS)}, {role: gpt, content: self.text(ANSWERS)}]
        if self.chance(0.1):
            talk = [{role: self.random.choice(("system", "developer", "tool")), content: "Be brief."}, *talk]
        return talk

    def record_llava(self) -> dict[str, Any]:
        count = self.random.choice((1, 1, 1, 2, 0))
        record: dict[str, Any] = {"conversations": self.talk(("from", "value"), "human", "gpt", count)}
        images = [self.image() for _ in range(count)]
        return {**({"image": images[0] if count == 1 else images} if count else {}), **record}

    def record_qwen(self) -> dict[str, Any]:
        if self.chance(0.5):
            return {"image": self.image(), "conversations": self.talk(("from", "value"), "user", "assistant", 1)}
        marker = f"Picture 1: <img>{self.path()}</img>\n"
        return {"conversations": self.talk(("from", "value"), "user", "assistant", 1, marker)}

    def record_sharegpt(self) -> dict[str, Any]:
        images = [self.image() for _ in range(self.random.choice((1, 1, 2)))]
        marker = self.random.choice(("<image>", "<image>", ""))
        if self.chance(0.5):
            return {
                "messages": self.talk(("role", "content"), "user", "assistant", len(images), marker),
                "images": images,
            }
        return {"conversations": self.talk(("from", "value"), "human", "gpt", len(images), marker), "images": images}

    def record_chat(self) -> dict[str, Any]:
        inside, kind = self.chance(0.5), self.random.choice(("image", "image_url", "input_image"))
        part: dict[str, Any] = {"type": kind}
        if inside:
            key = {"image": "image", "image_url": "image_url", "input_image": "image_url"}[kind]
            part[key] = {"url": self.image()} if key == "image_url" and self.chance(0.5) else self.image()
        parts = [part, {"type": "text", "text": self.text(WORDS)}]
        answer = [{"type": "text", "text": self.text(ANSWERS)}] if self.chance(0.5) else self.answer()
        messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": answer}]
        return {"messages": messages} if inside else {"images": [self.image()], "messages": messages}

    def record_imagefolder(self) -> dict[str, Any]:
        return {"file_name": self.path(), "question": self.text(WORDS), "answer": self.answer()}

    def record_vqa(self) -> dict[str, Any]:
        record = {"image": self.image(), "question": self.text(WORDS), "answer": self.answer()}
        if self.chance(0.2):
            record |= {"choices": ["a", "b", 3], "answer": self.random.choice((0, 1, 2, 3, -1, "a", 1.0))}
        if self.chance(0.2):
            record["answers"] = self.random.choice((["a", "b"], [{"answer": "a", "answer_id": 1}], [], None, "a"))
        return {"question_id": self.id(), **record} if self.chance(0.3) else record

    def record_alpaca(self) -> dict[str, Any]:
        record = {"instruction": self.question(), "input": "", "output": self.answer(), "images": [self.image()]}
        return {**record, "history": [[self.text(WORDS), "a"]]} if self.chance(0.2) else record

    def record_swift(self) -> dict[str, Any]:
        record = {
            "query": self.question(self.random.choice((0, 1))),
            "response": self.answer(),
            "images": [self.image()],
        }
        return {**record, "history": [[self.text(WORDS), "a"]]} if self.chance(0.2) else record

    def record_prompt(self) -> dict[str, Any]:
        talk, images = self.talk(("role", "content"), "user", "assistant", 0), [self.image()]
        return self.random.choice(
            (
                {"prompt": self.text(WORDS), "completion": self.answer(), "images": images},
                {"prompt": talk[:1], "completion": talk[1:], "images": images},
                {"prompt": talk[:1], "chosen": talk[1:], "rejected": "no", "images": images},
                {"prompt": self.text(WORDS), "completion": "a", "label": self.chance(0.5), "image": images[0]},
                {"chosen": talk, "rejected": talk, "images": images},
            )
        )

    def record_captions(self) -> dict[str, Any]:
        key = self.random.choice(("caption", "captions", "text", "txt"))
        return {"image": self.image(), key: ["a", "b"] if self.chance(0.2) else self.answer()}

    def record_cauldron(self) -> dict[str, Any]:
        texts = [{"user": self.text(WORDS), "assistant": self.answer()} for _ in range(self.random.choice((1, 2)))]
        return {"images": [self.image()], "texts": texts}

    def record_text(self) -> dict[str, Any]:
        return {"conversations": self.talk(("from", "value"), "human", "gpt", 0)}


BUILDERS = (
    "llava", "qwen", "sharegpt", "chat", "imagefolder", "vqa", "alpaca", "swift", "prompt", "captions", "cauldron",
    "text",
)  # fmt: skip
JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3.5, float("nan"), float("inf"), 10**30, "", " ", "x", "human", "gpt", "tool",
    "assistant", "text", "image", "video", "<image>", "<image>\nWhat?", "<video>", "<image1> <image2>", "<image99>",
    "<img> images/0.png </img>", "data:,", "\x00", "\ud800", '["images/0.png"]', "['a']", "[[[", "nan", "\x1b[2J",
    BASE64,
    f"data:image/png;base64,{BASE64}", f"{BASE64}*", "/etc/passwd", "a" * 5000, "\\\\host\\share\\a.png", "C:\\a.png",
    "https://example.org/a.png", "s3://bucket/a.png", "//host/a.png", "file://host/a.png", "file:", "\n", "../../a.png",
)  # fmt: skip
SPELLINGS: tuple[Callable[[str, Path], str], ...] = (
    lambda name, folder: name,
    lambda name, folder: name,
    lambda name, folder: name,
    lambda name, folder: f"./{name}",
    lambda name, folder: str(folder / name),
    lambda name, folder: f"file://{quote(str(folder / name))}",
    lambda name, folder: f"file:{folder / name}",
    lambda name, folder: f"images/../{name}",
    lambda name, folder: f"nowhere/../{name}",
    lambda name, folder: f"../{folder.name}/{name}",
    lambda name, folder: name.replace("/", "\\"),
    lambda name, folder: str(folder / name).replace("/", "\\"),
    lambda name, folder: quote(name),
    lambda name, folder: name.replace("/", "//"),
    lambda name, folder: unicodedata.normalize("NFD", name),
    lambda name, folder: name.upper(),
    lambda name, folder: f" {name}\n",
    lambda name, folder: f"C:\\data\\{name}",
    lambda name, folder: f"https://example.org/{name}",
    lambda name, folder: f"/{name}",
    lambda name, folder: name.rpartition("/")[0],
    lambda name, folder: f"{name}.missing",
)  # fmt: skip
