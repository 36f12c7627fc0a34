"""Shows each update of a private generator once. Gradio's page would show the last one twice."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.components import _Keywords
from gradio.state_holder import SessionState


class BlocksWithoutRepeats(gr.Blocks):
    """`gr.Blocks` in which the end of a private generator changes nothing on the page.

    Gradio repeats the last update when a generator ends. The page would show it once more, perhaps after the update of
    a later and faster handler, which it would undo. If a generator yields nothing, Gradio empties all its outputs.

    A generator that yields a last update without changes would not do: the page applies the difference to the update
    before it, and changes that one in place.
    """

    async def postprocess_data(
        self, block_fn: BlockFunction, predictions: Any, state: SessionState | None
    ) -> list[Any]:
        values = predictions if isinstance(predictions, tuple) else (predictions,)
        ended = all(value is _Keywords.FINISHED_ITERATING for value in values) and block_fn.outputs
        return _nothing(block_fn) if ended else await super().postprocess_data(block_fn, predictions, state)

    def handle_streaming_diffs(
        self, block_fn: BlockFunction, data: list[Any], session_hash: str | None, run: str | None, final: bool,
        simple_format: bool = False,
    ) -> list[Any]:  # fmt: skip
        data = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        # A program that calls a public endpoint reads only the last message.
        return _nothing(block_fn) if final and block_fn.api_visibility == "private" else data


def _nothing(block_fn: BlockFunction) -> list[Any]:
    return [gr.skip() for _ in block_fn.outputs]
