"""Renders turns as a prompt with the processor's chat template, and neutralises control strings in their texts.

The template receives numbered marks instead of the texts; the texts replace the marks afterwards. So no text can
change what the template does, and the position of each text in the prompt is known without a search.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from jinja2 import TemplateError

from bye_core.model_protocol import Prompt, Span
from bye_core.models.errors import HostileText, UnusableChatTemplate
from bye_core.models.probes import ChatTemplate
from bye_core.records import Turn

MARK = re.compile("(\t?)\ue000(\\d+)\ue001(\t?)")
# A role tag made of ordinary text ("USER:", "[INST]") ends in punctuation; a bare word ("user") is left alone.
ROLE_TAG = re.compile(r"\S*\w\S*[^\w\s]")
MAX_PASSES = 10
# An answer with a thought before it, and the empty thought that templates of thinking models write before an answer.
THOUGHT = re.compile(r"(\s*<think>)(.*?)(</think>\s*)(.*)", re.DOTALL)
EMPTY_THOUGHT = re.compile(r"<think>(\s*)</think>\s*\Z")


def template_of_tokenizer(tokenizer: Any) -> str | None:
    """Return the default chat template of a tokenizer if it writes something for an image, else None.

    Older checkpoints have their template in tokenizer_config.json alone, where a processor does not find it.
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not isinstance(template, str):
        return None
    render = ChatTemplate(template, tokenizer)
    text, image = {"type": "text", "text": "x"}, {"type": "image"}
    try:
        plain, shown = (
            render([{"role": "user", "content": parts}], generation=False) for parts in ([text], [image, text])
        )
    except (TemplateError, ValueError, TypeError, KeyError, IndexError):
        return None
    # A template for text alone may write a list of parts as Python does.
    return template if shown != plain and "'type'" not in shown else None


class Defuser:
    """Breaks control strings in a text with a space after their first character: `<image>` becomes `< image>`."""

    def __init__(self, tokenizer: Any, controls: Sequence[str], role_tags: Collection[str]) -> None:
        self.tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        special = {token.content for token in added if token.special or token.content.startswith("<|")}
        strings = special | set(tokenizer.all_special_tokens) | set(controls)
        # The unknown token is harmless: any unknown character becomes one.
        unknown = tokenizer.unk_token_id
        self.control_ids = set(tokenizer.convert_tokens_to_ids(sorted(strings))) - {unknown, None}
        breakable = sorted((s for s in strings | set(role_tags) if len(s) > 1), key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, breakable))) if breakable else None

    def __call__(self, text: str) -> str:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for _ in range(MAX_PASSES):
            if self.pattern is None or not self.pattern.search(text):
                break
            text = self.pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        # A tokenizer may normalise look-alikes (full width, other case) into a control token after all.
        remaining = self.control_ids.intersection(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if remaining:
            raise HostileText(tokens=", ".join(self.tokenizer.convert_ids_to_tokens(sorted(remaining))))
        return text


class Chat:
    """Renders turns with the processor's chat template. Caches its output for each sequence of roles and images.

    empty_thought  what the template may write between the role tag and an answer to generate, but leaves out before an
                   answer in a chat. If it does, each answer gets it, as the authors advise for fine-tuning.
    """

    def __init__(self, processor: Any, controls: Sequence[str], empty_thought: str = "") -> None:
        self.template = ChatTemplate(processor.chat_template, processor.tokenizer)
        self.empty_thought = empty_thought
        self.layouts: dict[tuple, str] = {}
        self.answer_end = ""
        self.answer_end = self._missing_end(processor.tokenizer)
        self.thinks = "</think>" in self._run_template((("user", (True,)), ("assistant", (True,))), generation=False)
        self.defuse = Defuser(processor.tokenizer, controls, ())
        self.defuse = Defuser(processor.tokenizer, controls, self._role_tags())

    def render(self, turns: Sequence[Turn], generation: bool) -> Prompt:
        """Return the prompt of `turns`; if `generation` is true, it ends with the role tag that starts an answer."""
        texts = [(turn.role, part) for turn in turns for part in turn.parts if isinstance(part, str) and part]
        images = tuple(part for turn in turns for part in turn.parts if isinstance(part, int))
        layout = self._layout(turns, generation)
        pieces, spans, length, end = [], [], 0, 0
        for mark in MARK.finditer(layout):
            role, text = texts[int(mark[2])]
            fixed = layout[end : mark.start()]
            # A mark is written between two tabs: their absence shows that the template strips its texts.
            text = text if mark[1] and mark[3] else text.strip()
            thought = THOUGHT.fullmatch(text) if role == "assistant" else None
            fixed, text = self._with_thought(fixed, *thought.groups()) if thought else (fixed, self.defuse(text))
            spans.append(Span(role, length + len(fixed), length + len(fixed) + len(text)))
            pieces += [fixed, text]
            length, end = spans[-1].stop, mark.end()
        return Prompt("".join([*pieces, layout[end:]]), tuple(spans), images)

    def _with_thought(self, fixed: str, start: str, thought: str, end: str, answer: str) -> tuple[str, str]:
        """Return (fixed, text): an answer with its own thought, in place of an empty one at the end of `fixed`.

        If the template leaves thoughts out here, as that of a thinking model does in earlier turns, so does the text.
        """
        thought, answer = self.defuse(thought), self.defuse(answer)
        empty = EMPTY_THOUGHT.search(fixed)
        if empty is None:
            return fixed, answer if self.thinks else f"{start}{thought}{end}{answer}"
        space = empty[1][: len(empty[1]) // 2]
        closing = empty[0].removeprefix(f"<think>{empty[1]}")
        return fixed[: empty.start()], f"<think>{space}{thought.strip()}{space}{closing}{answer}"

    def _layout(self, turns: Sequence[Turn], generation: bool) -> str:
        """Return the template's output with a numbered mark in place of each text."""
        shape = (generation, *((t.role, tuple(isinstance(p, str) for p in t.parts if p != "")) for t in turns))
        if shape not in self.layouts:
            layout = self._run_template(shape[1:], generation)
            self.layouts[shape] = self._before_answer(shape[1:], layout) if generation else layout
        return self.layouts[shape]

    def _before_answer(self, shape: tuple, layout: str) -> str:
        """Return the output that starts an answer, with what the template puts before the answer's text.

        Templates of thinking models open a thought here, but close an empty one before the text of an answer. Others
        use other white space here than before an answer (LLaVA-OneVision); fine-tuning learns answers after the latter.
        """
        try:
            answered = self._run_template((*shape, ("assistant", (True,))), generation=False)
        except UnusableChatTemplate:
            return layout
        before = answered[: list(MARK.finditer(answered))[-1].start()]
        if before.startswith(layout):
            return before if before.removeprefix(layout).strip() else layout
        return before.rstrip(" ") if before.split() == layout.split() else layout

    def _run_template(self, shape: tuple, generation: bool) -> str:
        count = sum(sum(kinds) for _, kinds in shape)
        reason: Any = None
        # Some templates write the content of a text-only turn unchanged, so they need a string there (GLM-4.1V).
        for plain in ((), ("system", "assistant"), ("system", "assistant", "user")):
            try:
                layout = self.template(_marked(shape, plain), generation)
            except (TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
                reason = reason or error
                continue
            if [int(mark[2]) for mark in MARK.finditer(layout)] == list(range(count)):
                break
            reason = reason or "it leaves out, repeats or reorders texts."
        else:
            raise UnusableChatTemplate(roles=", ".join(role for role, _ in shape), reason=reason)
        return self._with_ends(shape, self._with_thoughts(shape, layout))

    def _missing_end(self, tokenizer: Any) -> str:
        """Return the end token if the template writes no token at the end of an answer, else "".

        The templates of LLaVA-1.5 and GLM-4V on the hub write none. Without it, a model would not learn to end answers.
        """
        layout = self._run_template((("user", (True,)), ("assistant", (True,))), generation=False)
        closing = layout[list(MARK.finditer(layout))[-1].end() :]
        ended = any(token.content in closing for token in tokenizer.added_tokens_decoder.values())
        return "" if ended else tokenizer.eos_token or ""

    def _with_ends(self, shape: tuple, layout: str) -> str:
        """Return the template's output with `answer_end` after each answer."""
        if not self.answer_end:
            return layout
        counts = [sum(kinds) for _, kinds in shape]
        last = {sum(counts[: n + 1]) - 1 for n, (role, _) in enumerate(shape) if role == "assistant" and counts[n]}
        return MARK.sub(lambda mark: mark[0] + self.answer_end if int(mark[2]) in last else mark[0], layout)

    def _with_thoughts(self, shape: tuple, layout: str) -> str:
        """Return the template's output with the empty thought before each answer, if the template omits it there."""
        if not self.empty_thought:
            return layout
        question = [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
        if not self.template(question, generation=True).endswith(self.empty_thought):
            return layout
        counts = [sum(kinds) for _, kinds in shape]
        answers = {sum(counts[:n]) for n, (role, _) in enumerate(shape) if role == "assistant" and counts[n]}

        def mark_of_answer(match: re.Match[str]) -> str:
            before = layout[: match.start()]
            missing = int(match[2]) in answers and not before.endswith(self.empty_thought)
            return self.empty_thought + match[0] if missing else match[0]

        return MARK.sub(mark_of_answer, layout)

    def _role_tags(self) -> set[str]:
        """Return the role tags that are ordinary text in this template, such as USER: and ASSISTANT:."""
        turns = [Turn(role, ("x",)) for role in ("user", "assistant", "user")]
        layout = self._layout(turns, generation=True)
        if self.defuse.pattern is not None:
            layout = self.defuse.pattern.sub(" ", layout)
        # The part before the first text may hold a default system message, whose words are not tags.
        return {tag for piece in MARK.split(layout)[4::4] for tag in ROLE_TAG.findall(piece)}


def _marked(shape: tuple, plain: Sequence[str]) -> list[dict[str, Any]]:
    """Return messages with numbered marks in place of the texts.

    The content of a turn is a list of parts; if its role is in `plain` and it has no image, it is a string.
    """
    count, messages = 0, []
    for role, kinds in shape:
        content: list[dict[str, str]] = []
        for is_text in kinds:
            content.append({"type": "text", "text": f"\t\ue000{count}\ue001\t"} if is_text else {"type": "image"})
            count += is_text
        text = "".join(part["text"] for part in content) if role in plain and kinds and all(kinds) else None
        messages.append({"role": role, "content": content if text is None else text})
    return messages
