"""Asks free questions about the demo's scenes: few questions repeat, as in VQA sets that people wrote (ours).

Each topic has sentence patterns. A pattern is filled with random words, and an opening and a hint may surround it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bye_core.demo.scenes import COLORS, Scene, ask

TOPICS = ("count", "caption", "colors", "background", "presence")
MOST_REPEATS = 5  # largest number of times that one set asks the same question
WORDS = {
    "things": ("shapes", "figures", "forms", "objects", "things", "items", "pieces", "symbols"),
    "image": ("image", "picture", "photo", "scene", "drawing", "illustration", "frame", "view"),
    "here": ("", "", " here", " in this {image}", " in the {image}", " on the {image}", " within the {image}"),
    "see": ("see", "find", "spot", "notice", "recognize", "make out"),
    "seen": ("visible", "shown", "present", "drawn", "included", "depicted"),
    "colors": ("colors", "hues", "shades", "tints"),
    "back": ("background", "backdrop", "back", "rear", "distance"),
    "places": ("a palace or a flower", "a flower or a palace", "flower or palace", "palace or flower"),
    "caption": ("caption", "description", "summary", "title", "headline", "line of text"),
    "short": ("short", "brief", "one-sentence", "concise", "simple", "single-sentence"),
    "thing": ("shape", "figure", "form", "object", "thing", "item", "piece", "symbol"),
}
OPENINGS = ("", "", "", "", "Please answer: ", "Tell me: ", "Look closely. ", "Quick question: ", "I wonder: ")
PATTERNS = {
    "count": (
        "How many {things} are there{here}?",
        "How many {things} can you {see}{here}?",
        "What is the number of {things}{here}?",
        "Count the {things}{here}.",
        "How many different {colors} do the {things} have{here}?",
        "Are there one, two or three {things}{here}?",
        "What is the total when you count all {things}{here}?",
        "Give the number of {things} {seen}{here}.",
        "In total, how many {things} does the {image} contain?",
        "If I counted the {things}{here}, where would I stop?",
    ),
    "caption": (
        "Provide a {short} {caption} for the {image}.",
        "Describe the {image} in one sentence.",
        "Write a {short} {caption} of this {image}.",
        "What does the {image} show? Reply with a full sentence.",
        "Summarize everything {seen} in the {image}.",
        "Put the {image} into words.",
        "Compose a {caption} that fits the {image}.",
        "What would be a {short} {caption} for this {image}?",
        "Sum up this {image}, with its {back} and its {things}.",
        "How would you describe this {image} to somebody who cannot look at it?",
    ),
    "colors": (
        "Which {colors} do the {things} have{here}?",
        "What {colors} are the {things}{here}?",
        "Name the {colors} of all {things}{here}.",
        "List every color that the {things} have{here}.",
        "Which {colors} can you {see} on the {things}?",
        "In which {colors} are the {things} painted{here}?",
        "What color is each of the {things}{here}?",
        "The {things} {seen}{here} are of which {colors}?",
        "Enumerate the {colors} used for the {things}.",
        "Tell the {colors} of the {things} apart: which are they?",
    ),
    "background": (
        "What is behind the {things}, {places}?",
        "Is the {back} of the {image} {places}?",
        "What can you {see} in the {back}: {places}?",
        "Which one is {seen} behind the {things}: {places}?",
        "What stands in the {back} of the {image}?",
        "Where was the {image} taken, near {places}?",
        "Does the {back} show {places}?",
        "Name the motif of the photograph behind the {things}.",
        "What lies further away than the {things}, {places}?",
        "Decide what fills the {back}: {places}.",
    ),
    "presence": (
        "Is there a {color} {thing}{here}?",
        "Can you {see} anything {color}{here}?",
        "Does the {image} contain a {color} {thing}?",
        "Is any of the {things} {color}?",
        "Do you {see} a {color} {thing}{here}?",
        "Is {color} among the {colors} {seen}{here}?",
        "Has the {image} got something {color}?",
        "Yes or no: a {color} {thing} is {seen}{here}.",
        "Would you say that a {color} {thing} is {seen}{here}?",
        "Are there {things} that are {color}{here}?",
    ),
}
HINTS = {
    "count": ("", "", " Answer with one word.", " Reply with a number word.", " One word, please."),
    "caption": ("", "", "", " Keep it plain.", " One sentence is enough."),
    "colors": ("", "", "", " Name them in order.", " List all of them."),
    "background": ("", "", " Answer with one word.", " A single word will do.", " One word, please."),
    "presence": ("", "", " Answer yes or no.", " Yes or no?", " One word, please."),
}


class FreeQuestions:
    """Asks questions in the words of random patterns, none more than `most_repeats` times; None: without a limit."""

    def __init__(self, seed: int | Sequence[int], most_repeats: int | None = MOST_REPEATS) -> None:
        self._rng = np.random.default_rng(seed)
        self._most = most_repeats
        self._asked: Counter[str] = Counter()

    def ask(self, scene: Scene, topic: str) -> tuple[str, str]:
        """Return (question, answer) about a scene; `topic` is one of TOPICS."""
        color = self._color(scene)
        question = self._question(topic, color)
        while self._most and self._asked[question] >= self._most:
            question = self._question(topic, color)
        self._asked[question] += 1
        if topic == "presence":
            return question, "yes" if color in scene.colors else "no"
        return question, ask(scene, topic)[1]

    def _question(self, topic: str, color: str) -> str:
        text = self._one_of(OPENINGS) + self._one_of(PATTERNS[topic]) + self._one_of(HINTS[topic])
        while "{" in text:  # a word may contain further fields
            text = text.format(color=color, **{name: self._one_of(words) for name, words in WORDS.items()})
        return text.replace("a orange", "an orange")

    def _color(self, scene: Scene) -> str:
        """Return a color of the scene, or with the same probability one that it lacks."""
        if self._rng.random() < 0.5:
            return self._one_of(scene.colors)
        return self._one_of([color for color in COLORS if color not in scene.colors])

    def _one_of(self, words: Sequence[str]) -> str:
        return words[int(self._rng.integers(len(words)))]
