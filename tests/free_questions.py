"""Makes sets of different questions with known topics: sentence patterns, synonyms and things, as in VQA sets."""

import re

import numpy as np

THINGS = re.findall(
    r"\w+",
    """
    dog cat horse sheep cow elephant zebra giraffe bird bear car bus truck train boat bicycle motorcycle
    plane person  child woman man chair couch bed table bottle cup bowl banana apple orange pizza cake
    umbrella bag book clock vase  laptop phone kite ball surfboard skateboard racket bench sign window
""",
)
PLURALS = {
    "sheep": "sheep",
    "person": "people",
    "child": "children",
    "woman": "women",
    "man": "men",
    "couch": "couches",
    "bus": "buses",
    "bench": "benches",
}
COLORS = ("red", "green", "white", "black", "brown", "yellow", "grey")
WHERE = ("", "", "", " in the picture", " in this image", " in the photo", " here", " on the left", " by the road")
PATTERNS = {
    "counts": (
        "How many {many} are there{where}?",
        "How many {many} can you count{where}?",
        "What number of {many} is shown?",
        "How many {color} {many} do you see{where}?",
        "Count the {many}{where}.",
        "How many {many} stand next to the {one}?",
        "What is the total number of {many}{where}?",
        "How many {many} are {doing}?",
        "How many of the {many} are {color}?",
    ),
    "colours": (
        "What color is the {one}{where}?",
        "What colour are the {many}{where}?",
        "Which color does the {one} have?",
        "What is the color of the {one}{where}?",
        "What color is the {one} next to the {other}?",
        "Name the colors of the {many}.",
        "What color is the {one}'s {part}?",
        "Which colors can be seen on the {one}?",
        "What color are the {many} that are {doing}?",
        "The {one}{where} is what color?",
    ),
    "backgrounds": (
        "What is in the background{where}?",
        "What can be seen behind the {one}?",
        "What is behind the {many}?",
        "What does the background show?",
        "Which building is in the background behind the {one}?",
        "Where was this picture of the {one} taken?",
        "What kind of place is in the background of the {one}?",
        "What scenery lies behind the {one}{where}?",
        "Describe the background behind the {many}.",
    ),
    "captions": (
        "Describe the image.",
        "Write a caption for this picture of the {one}.",
        "Provide a short caption for the image.",
        "Give a one sentence description of the picture with the {one}.",
        "Caption this photo of {many}.",
        "Please write a short description of the photo.",
        "What would be a good caption for the picture with the {many}?",
        "Describe the scene with the {one} and the {other} in one sentence.",
        "Summarize the picture in one sentence.",
        "Compose a brief caption that mentions the {one}.",
    ),
    "presence": (
        "Is there a {one}{where}?",
        "Are there any {many}{where}?",
        "Can you see a {color} {one}{where}?",
        "Do you see any {many}{where}?",
        "Is there a {one} next to the {other}?",
        "Does the picture contain a {one}?",
        "Is a {one} visible{where}?",
        "Are there {many} {doing}?",
        "Is there anything {color}{where}?",
        "Is the {one} {doing}?",
        "Does this image show {many}?",
    ),
}
DOING = ("sleeping", "moving", "standing", "visible behind the fence", "in the water", "lying on the grass", "parked")
PARTS = ("head", "back", "front", "top", "left side", "shirt", "cover")


def free_questions(count, seed=0, most=5):
    """Return (questions, topics) [count]; no question occurs more than `most` times."""
    rng = np.random.default_rng(seed)
    questions, topics, asked = [], [], {}
    while len(questions) < count:
        topic = str(rng.choice(list(PATTERNS)))
        one, other, several = (str(rng.choice(THINGS)) for _ in range(3))
        text = str(rng.choice(PATTERNS[topic])).format(
            one=one, other=other, many=PLURALS.get(several, several + "s"), color=rng.choice(COLORS),
            where=rng.choice(WHERE), doing=rng.choice(DOING), part=rng.choice(PARTS),
        )  # fmt: skip
        if asked.get(text, 0) < most:
            asked[text] = asked.get(text, 0) + 1
            questions.append(text)
            topics.append(topic)
    return questions, topics


def purity(kinds, topics):
    """Return the share of samples whose topic is the most frequent topic of their kind."""
    kinds, topics = np.asarray(kinds), np.asarray(topics)
    return sum(np.unique(topics[kinds == kind], return_counts=True)[1].max() for kind in np.unique(kinds)) / len(kinds)
