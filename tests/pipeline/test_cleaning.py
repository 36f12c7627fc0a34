"""A cleaning as command-line arguments, and what a job's arguments say about it."""

from dataclasses import replace

import pytest

from bye_core import pipeline
from bye_core.attacks import TRIGGERS, FixedAnswer, make_attack, make_trigger
from bye_core.attacks.attack import Attack
from bye_core.attacks.targets import Appended, Refusal, SwappedWord
from bye_core.cli.main import build_parser
from bye_core.cli.training import cleaning_of
from bye_core.data.reading import ReadingOptions
from bye_core.pipeline.cleaning_folder import CleaningFolder, CleaningOutline
from bye_core.runs.jobs import option_values

PLAIN = pipeline.Cleaning("model", "set.json")
SETTINGS = pipeline.FinetuneSettings(epochs=0.5, rate=1e-5, projector=False, qlora=True, seed=7, device="cpu")
READING = ReadingOptions("llava", {"question": "q", "answer": "a"}, "test", "-What is it?", True)
MORE = {"reading": READING, "metric": "cider", "method": "bye"}


def parsed(arguments):
    return cleaning_of(build_parser().parse_args(["clean", *arguments]))


@pytest.mark.parametrize(
    "attack",
    [
        None,
        make_attack(["patch"], {"size": 0.3}),
        make_attack(list(TRIGGERS), {"blend.a": 0.25, "patch.size": 1 / 3}, SwappedWord("blue", word="red"), mix=True),
        make_attack(["suffix"], target=Appended("and more")),
        make_attack(["sig"], target=Refusal()),
        make_attack(["sig"], target=FixedAnswer("-rf")),
        make_attack(["sig"], target=FixedAnswer("--append x")),
        make_attack(["sig"], target=FixedAnswer("-- is a dash")),
        make_attack(["sig"], target=Appended("-1")),
        make_attack(["sig"], target=Refusal("– no –")),
        make_attack(["sig"], target=Refusal("-no=way")),
    ],
)
def test_the_command_line_reads_back_what_a_cleaning_writes(tmp_path, attack):
    how = {"attack": attack, "attack_seed": 7, "seed": 7, "baselines": ("random",)}
    cleaning = replace(PLAIN, settings=SETTINGS, run=tmp_path / "run", test="test.json", **how, **MORE)
    assert parsed(cleaning.arguments(tmp_path / "out")) == cleaning


def test_defaults_are_left_out(tmp_path):
    assert PLAIN.arguments(tmp_path) == ["--model", "model", "--data", "set.json", "--out", str(tmp_path)]
    assert parsed(PLAIN.arguments(tmp_path)) == PLAIN


@pytest.mark.parametrize("name", TRIGGERS)
def test_every_trigger_is_named_with_its_settings(name):
    attack = Attack((make_trigger(name),), FixedAnswer("x"))
    assert pipeline.attack_arguments(attack)[:2] == ["--trigger", name]
    assert pipeline.attack_arguments(attack)[-2:] == ["--target", "x"]


def test_a_seed_that_the_command_line_cannot_say(tmp_path):
    with pytest.raises(ValueError, match="one seed"):
        replace(PLAIN, seed=1).arguments(tmp_path)
    attacked = replace(PLAIN, test="t", attack=make_attack(["patch"]), attack_seed=3)
    with pytest.raises(ValueError, match="one seed"):
        attacked.arguments(tmp_path)
    assert replace(attacked, attack_file=tmp_path / "truth.json").arguments(tmp_path)[-2:] == [
        "--attack",
        str(tmp_path / "truth.json"),
    ]


def test_the_outline_of_a_recorded_job(tmp_path):
    cleaning = replace(PLAIN, settings=SETTINGS, seed=7, test="t", baselines=("none", "random"), method="bye")
    arguments = cleaning.arguments(tmp_path)
    assert CleaningOutline.from_arguments(arguments) == CleaningOutline.of(cleaning, tmp_path)
    assert CleaningOutline.from_arguments(arguments).folder == CleaningFolder(tmp_path, tmp_path / "run")
    assert CleaningOutline.from_arguments(["--out", str(tmp_path)]).method == pipeline.Cleaning("m", "d").method


def test_values_of_an_option():
    arguments = ["--data", "a", "--baseline", "none", "random", "--json"]
    assert option_values(arguments, "--data") == ("a",)
    assert option_values(arguments, "--baseline") == ("none", "random")
    assert option_values(arguments, "--json") == option_values(arguments, "--out") == ()
