"""Tries a model's tokenizer and renders its chat template in the limited process of `sandbox.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from bye_core.files import file_sha256
from bye_core.models.errors import BrokenModel
from bye_core.models.files import TOKENIZER_FILE
from bye_core.models.folder_errors import CostlyModel
from bye_core.models.sandbox import SANDBOX, SandboxError, SandboxLimit

# Digests of the tokenizers that this process has tried.
_tried: set[str] = set()


def probe_tokenizer(folder: Path) -> None:
    """Load tokenizer.json, if there is one, and encode texts on which hostile ones take long or end their process.

    Raises: CostlyModel if it exceeds a limit; BrokenModel if it cannot be loaded.
    """
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        return
    digest = file_sha256(path)
    if digest in _tried:
        return
    try:
        SANDBOX.try_tokenizer(path)
    except SandboxLimit as error:
        raise CostlyModel(path=folder, part="tokenizer", reason=error) from error
    except SandboxError as error:
        raise BrokenModel(path=folder, reason=f"{TOKENIZER_FILE} is damaged: {error}.") from error
    _tried.add(digest)


class ChatTemplate:
    """Renders conversations with a chat template, as `apply_chat_template` of transformers does, but with limits.

    template   a template, or several by name; the one named "default" is used
    tokenizer  the template may write the texts of its special tokens
    """

    def __init__(self, template: Any, tokenizer: Any) -> None:
        self._template = template.get("default") if isinstance(template, Mapping) else template
        self._tokenizer = tokenizer
        self._exceeded: SandboxLimit | None = None

    def __call__(self, messages: Sequence[Mapping[str, Any]], generation: bool) -> str:
        """Return the prompt. Raises: TemplateError if the template fails; CostlyModel if it exceeds a limit.

        After the limit was exceeded once, it raises CostlyModel at once: each attempt takes seconds.
        """
        if not isinstance(self._template, str):
            raise TemplateError("there is no default chat template.")
        special = {name: str(token) for name, token in self._tokenizer.special_tokens_map.items()}
        values = {"messages": list(messages), "tools": None, "documents": None, "add_generation_prompt": generation}
        try:
            if self._exceeded is None:
                return SANDBOX.render(self._template, {**values, **special})
        except SandboxLimit as error:
            self._exceeded = error
        except SandboxError as error:
            raise TemplateError(f"{error}") from error
        raise CostlyModel(path=self._tokenizer.name_or_path, part="chat template", reason=self._exceeded)
