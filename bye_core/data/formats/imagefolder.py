"""Reads and writes an image folder: metadata.jsonl or metadata.csv with `file_name`, `question` and `answer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.formats.base import Layout
from bye_core.data.formats.vqa import VqaTable


class ImageFolder(VqaTable):
    name = "imagefolder"
    title = "image folder"
    columns: ClassVar = {"id": "id", "image": "file_name", "question": "question", "answer": "answer"}
    file = "metadata.jsonl"
    priority = 1

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        """Return whether the record has the key `file_name`, and `layout` does not rename it.

        A table with another key for the image is a VQA table.
        """
        return layout.columns["image"] == self.columns["image"] and self.columns["image"] in record


FORMAT = ImageFolder()
