"""Which cells a matrix has, what they are called, what they plant; and seeds that are kept apart."""

import json
import re
from dataclasses import fields, replace

import numpy as np
import pytest

from bye_core import pipeline
from bye_core.attacks import TARGETS, TRIGGERS, UnknownTrigger, UnknownTriggerSetting
from bye_core.attacks.targets import UnknownTarget
from bye_core.bench.cell import draw_sets, training_set
from bye_core.bench.cell import test_set as drawn_test_set
from bye_core.bench.matrix import (
    ATTACKS,
    CLEAN,
    FREE,
    MIXES,
    QUICK,
    TRAINING,
    BadSize,
    Cell,
    Matrix,
    NoSuchTrigger,
    QuestionsNameNothing,
    UnknownMix,
)
from bye_core.bench.seeds import SEEDS, ForeignSeed, TooManySeeds, UnknownPurpose, first_seeds, require
from bye_core.cli.demo import matrix_of
from bye_core.cli.main import build_parser
from bye_core.data import load_dataset
from bye_core.demo.recipe import TRIGGER_SIZE
from bye_core.demo.scenes import COLORS, QUESTION_KINDS, UNCLEAR, question_set

CELL = Cell("patch", 0.1, "mixed", 900, 4.0, 1000)


def test_no_seed_is_for_both_purposes():
    seeds = [seed for own in SEEDS.values() for seed in own]
    assert len(seeds) == len(set(seeds))
    assert not set(first_seeds("dev", 50)) & set(first_seeds("report", 50))
    require("report", first_seeds("report", 3))
    with pytest.raises(ForeignSeed, match="report contain the seed 1000"):
        require("report", (*first_seeds("report", 1), *first_seeds("dev", 1)))
    with pytest.raises(TooManySeeds, match="1 to 1000"):
        first_seeds("dev", 1001)
    with pytest.raises(UnknownPurpose, match="dev, report, report-targets, report-families"):
        first_seeds("tuning", 1)


def test_a_matrix_is_every_combination_and_its_clean_sets_once():
    matrix = Matrix("report", ("patch", "blend", CLEAN), (0.1, 0.2), ("mixed", "count"), (300, 900), repeats=2)
    cells = list(matrix.cells())
    assert len(cells) == len(set(cells)) == 2 * 2 * 2 * (2 * 2 + 1)
    assert len({cell.name for cell in cells}) == len(cells)
    assert {cell.seed for cell in cells} == set(first_seeds("report", 2))
    assert {cell.rate for cell in cells if cell.attack == CLEAN} == {0.0}
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)


def test_every_setting_of_a_cell_is_in_its_name():
    others = {
        "attack": "blend", "rate": 0.02, "mix": "count", "samples": 300, "epochs": 6.0, "seed": 1001, "tower": True,
        "test": 50, "changed": ("patch.size=0.25",), "target": "swap=flower palace", "count": 25,
        "family": "internvl",
    }  # fmt: skip
    assert set(others) == {field.name for field in fields(Cell)}
    names = {replace(CELL, **{name: value}).name for name, value in others.items()}
    assert len(names | {CELL.name}) == len(others) + 1


def test_attacks_of_the_bench_are_all_triggers_text_with_picture_and_none():
    assert set(TRIGGERS) - set(ATTACKS) == {"mismatch"}, "it needs questions of its own"
    for attack in (*ATTACKS, "mismatch"):
        planted = replace(CELL, attack=attack, mix="naming" if attack == "mismatch" else CELL.mix).planted()
        assert planted is None if attack == CLEAN else [one.name for one in planted.triggers] == attack.split("+")
    both = replace(CELL, attack="prefix+patch").planted()
    assert both.triggers[1].size == TRIGGER_SIZE
    assert replace(CELL, tower=True).settings().vision
    assert replace(CELL, epochs=2.0).settings().epochs == 2.0


def test_questions_that_name_a_color_name_one_of_the_image_and_can_be_made_to_contradict_it():
    cell = replace(CELL, attack="mismatch", mix="naming")
    [trigger] = cell.planted().triggers
    samples = [sample for sample, _ in cell.items(40, 1, TRAINING)]
    named = {sample.question.split()[3] for sample in samples}
    assert named == set(COLORS)
    told = [sample for sample in samples if trigger.eligible(sample)]
    assert {sample.question.partition("here. ")[2].split()[0] for sample in told} == {"Which", "Provide"}
    assert all(sample.question.split()[3] in sample.answer for sample in told)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"attack": "magic"}, UnknownTrigger),
        ({"mix": "all"}, UnknownMix),
        ({"samples": 0}, BadSize),
        ({"attack": "patch+mismatch"}, QuestionsNameNothing),
    ],
)
def test_cells_that_make_no_sense_are_refused(changed, error):
    with pytest.raises(error):
        replace(CELL, **changed)


@pytest.mark.parametrize("mix", [mix for mix in MIXES if mix != FREE])
def test_a_mix_has_its_kinds_of_question_in_equal_parts(mix):
    samples = [sample for sample, _ in question_set(8, 1, (0, 1), MIXES[mix])]
    questions = [sample.question for sample in samples]
    assert {questions.count(question) for question in questions} == {8 // len(MIXES[mix])}
    assert len(QUESTION_KINDS) == len(set(MIXES["mixed"]))


def test_changed_settings_of_triggers_go_to_the_cells_that_have_them():
    matrix = Matrix(attacks=("patch", "blend", "prefix+patch", CLEAN), changed=("patch.size=0.25", "blend.a=0.3"))
    cells = {cell.attack: cell for cell in matrix.cells()}
    assert cells["patch"].planted().triggers[0].size == cells["prefix+patch"].planted().triggers[1].size == 0.25
    assert cells["blend"].planted().triggers[0].a == 0.3
    assert cells[CLEAN].changed == ()
    assert "changed" not in cells[CLEAN].record()
    odd = replace(CELL, attack="prefix", changed=("prefix.text=a/../b? c",))
    assert odd.planted().triggers[0].text == "a/../b? c"
    assert re.fullmatch(r"[\w.=+-]+", odd.name)
    with pytest.raises(NoSuchTrigger, match=r"sig\.d=3\..*patch, blend"):
        list(replace(matrix, changed=("sig.d=3",)).cells())
    with pytest.raises(UnknownTriggerSetting):
        list(replace(matrix, changed=("blend.size=0.1",)).cells())


def test_unclear_pictures_have_one_answer_and_leave_the_others_as_they_are():
    usual = [(sample.answer, picture.tobytes()) for sample, (picture,) in question_set(60, 1, (0, 1))]
    some = [sample for sample, _ in question_set(200, 1, (0, 1), unclear=0.1)]
    assert 10 <= sum(sample.answer == UNCLEAR for sample in some) <= 30
    assert len({sample.question for sample in some if sample.answer == UNCLEAR}) == len(QUESTION_KINDS)
    assert UNCLEAR not in {answer for answer, _ in usual}
    (_, (sharp,)), (_, (blurry,)) = (next(question_set(1, 1, 0, unclear=share)) for share in (0.0, 1.0))
    steps = [np.abs(np.diff(np.asarray(one, float), axis=0)).max() for one in (sharp, blurry)]
    assert steps[0] > 5 * steps[1]
    assert [replace(CELL, mix=mix).unclear for mix in ("unclear", "unclear-count", CELL.mix)] == [0.1, 0.1, 0.0]


def test_options_of_the_command_make_the_matrix():
    def asked(*options):
        return matrix_of(build_parser().parse_args(["bench-detect", "--out", "x", *options]))

    assert asked() == Matrix()
    assert asked("--quick", "--samples", "12") == replace(QUICK, samples=(12,))
    assert asked("--targets", "flip", "swap=a b", "--counts", "25") == Matrix(
        targets=("flip", "swap=a b"), counts=(25,)
    )
    options = ["--seeds", "report", "--attacks", "sig", "clean", "--rates", "0.02", "0.2", "--tower", "--repeats", "3"]
    assert asked(*options) == Matrix("report", ("sig", "clean"), (0.02, 0.2), tower=True, repeats=3)
    assert asked("--set", "blend.a=0.3", "--attacks", "blend") == Matrix(attacks=("blend",), changed=("blend.a=0.3",))


def test_targets_and_counts_are_axes_and_older_records_keep_their_form():
    matrix = Matrix(attacks=("patch", "patch+prefix", CLEAN), targets=("answer", "flip"), counts=(25, 50))
    cells = list(matrix.cells())
    assert len(cells) == len({cell.name for cell in cells}) == 2 * 2 * 2 + 1
    assert {(cell.target, cell.count) for cell in cells if cell.attack != CLEAN} == {
        ("answer", 25), ("answer", 50), ("flip", 25), ("flip", 50),
    }  # fmt: skip
    assert {cell.planted().target.kind for cell in cells if cell.attack != CLEAN} == {"answer", "flip"}
    assert set(CELL.record()) == {"attack", "rate", "mix", "samples", "epochs", "seed", "tower", "test"}
    assert replace(CELL, target="flip", count=25).record().items() >= {"target": "flip", "count": 25}.items()
    both = replace(CELL, attack="patch+prefix", target="two").planted()
    assert [trigger.name for trigger in both.triggers_of(1)] == ["prefix"]
    assert both.target_of(1).kind == "refusal"
    with pytest.raises(UnknownTarget):
        replace(CELL, target="shout")


@pytest.mark.parametrize("target", [*TARGETS, "append=Buy now."])
def test_every_target_can_be_poisoned_into_the_sets_of_the_bench(tmp_path, target):
    short = "swap=flower palace" if target == "swap" else target
    attack = "patch+blend" if target == "two" else "patch"
    cell = replace(CELL, attack=attack, target=short, samples=40, test=8, count=5, rate=0.0)
    list(draw_sets(cell, tmp_path))
    list(pipeline.poison(training_set(tmp_path, cell), tmp_path / "out", cell.planted(), seed=cell.seed, count=5))
    truth = json.loads((tmp_path / "out/truth.json").read_text(encoding="utf-8"))
    assert len(truth["poisoned"]) == 5
    assert len(load_dataset(tmp_path / "out").samples) == 40
    assert drawn_test_set(tmp_path, cell).is_dir()
    attack, _ = pipeline.read_attack(tmp_path / "out/truth.json")
    assert attack.fit(load_dataset(drawn_test_set(tmp_path, cell)).samples).target.kind == target.partition("=")[0]
