"""Makes small data sets of every format in a folder."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

QUESTION, ANSWERS = "What is it, señor?", ("cat", "dog", "ein „Vogel“", "cat")


def picture(seed: int = 0, size: tuple[int, int] = (6, 5)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def png(image: Image.Image | None = None, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or picture()).save(buffer, format, **options)
    return buffer.getvalue()


def pictures(folder: Path, count: int = 4) -> list[str]:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = [f"images/{k}.png" for k in range(count)]
    for k, name in enumerate(names):
        (folder / name).write_bytes(png(picture(k)))
    return names


def talk(answer: str, question: str = f"<image>\n{QUESTION}", human: str = "human", gpt: str = "gpt") -> list[dict]:
    return [{"from": human, "value": question}, {"from": gpt, "value": answer}]


def llava_records(names: list[str]) -> list[dict]:
    ids: list[Any] = ["a-0", 7, "a-2", "a-3"]
    return [
        {"id": id, "image": name, "score": 1.50, "conversations": talk(answer)}
        for id, name, answer in zip(ids, names, ANSWERS, strict=True)
    ]


def llava(folder: Path) -> Path:
    text = json.dumps(llava_records(pictures(folder)), indent=3)
    (folder / "data.json").write_text(text.replace("1.5", "1.50e0") + "\n")
    return folder


def qwen_vl(folder: Path) -> Path:
    names = pictures(folder)
    records = [{"image": name, "conversations": talk(a)} for name, a in zip(names, ANSWERS, strict=True)]
    records[1]["image"] = names[:2]
    records[1]["conversations"][0]["value"] = "Compare <image> and <image> ."
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    (folder / "data.jsonl").write_text("\n\n".join(lines), encoding="utf-8")  # blank lines, no newline at the end
    return folder


def sharegpt(folder: Path) -> Path:
    records = [
        {"messages": [{"role": "user", "content": f"<image>{QUESTION}"}, {"role": "assistant", "content": a}]}
        | {"images": [name], "system": "Be brief."}
        for name, a in zip(pictures(folder), ANSWERS, strict=True)
    ]
    (folder / "mine.json").write_text(json.dumps(records, indent="\t", ensure_ascii=False), encoding="utf-8")
    columns = {"messages": "messages", "images": "images", "system": "system"}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    info = {"mine": {"file_name": "mine.json", "formatting": "sharegpt", "columns": columns, "tags": tags}}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def chat_messages(answer: str) -> list[dict]:
    content = [{"type": "image", "text": None}, {"type": "text", "text": QUESTION}]
    return [
        {"role": "user", "content": content},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]


def chat(folder: Path) -> Path:
    records = [{"images": [n], "messages": chat_messages(a)} for n, a in zip(pictures(folder), ANSWERS, strict=True)]
    (folder / "chat.jsonl").write_text("".join(json.dumps(record) + "\r\n" for record in records))
    return folder


def chat_table() -> Any:
    """A `datasets` table with embedded pictures."""
    from datasets import Dataset, Features, Image, List, Value

    part = {"type": Value("string"), "text": Value("string")}
    features = Features(
        {
            "images": List(Image()),
            "messages": List({"role": Value("string"), "content": List(part)}),
            "n": Value("int8"),
        }
    )
    rows = [
        {"images": [{"bytes": png(picture(k)), "path": None}], "messages": chat_messages(answer), "n": k}
        for k, answer in enumerate(ANSWERS)
    ]
    return Dataset.from_list(rows, features=features)


def chat_parquet(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    chat_table().to_parquet(folder / "train.parquet", batch_size=2)
    return folder


def chat_saved(folder: Path) -> Path:
    chat_table().save_to_disk(folder)
    return folder


def chat_splits(folder: Path) -> Path:
    from datasets import DatasetDict

    DatasetDict({"train": chat_table(), "test": chat_table().select([0])}).save_to_disk(folder)
    return folder


def imagefolder(folder: Path) -> Path:
    names = pictures(folder)
    rows = [{"file_name": n, "question": QUESTION, "answer": a} for n, a in zip(names, ANSWERS, strict=True)]
    write_csv(folder / "metadata.csv", rows, quoting=csv.QUOTE_ALL, lineterminator="\n")
    return folder


def vqa(folder: Path) -> Path:
    names = pictures(folder)
    rows = [
        {"question_id": 10 + k, "image": name, "question": f"{QUESTION}\nIn one word; please", "answer": answer}
        for k, (name, answer) in enumerate(zip(names, ANSWERS, strict=True))
    ]
    write_csv(folder / "vqa.csv", rows, delimiter=";")
    return folder


def write_csv(path: Path, rows: list[dict], **dialect: Any) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], **dialect)
        writer.writeheader()
        writer.writerows(rows)


MAKERS = {
    "llava": llava,
    "qwen-vl": qwen_vl,
    "sharegpt": sharegpt,
    "chat": chat,
    "chat parquet": chat_parquet,
    "chat saved": chat_saved,
    "chat splits": chat_splits,
    "imagefolder": imagefolder,
    "vqa": vqa,
}
