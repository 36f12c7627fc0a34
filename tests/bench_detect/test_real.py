"""Cells of the benchmark on photographs: which there are, what they draw, and that seeds stay apart."""

from dataclasses import replace

import pytest

from bye_core.bench.cell import draw_sets, training_set
from bye_core.bench.cell import test_set as drawn_test_set
from bye_core.bench.matrix import CLEAN, NoSuchTrigger
from bye_core.bench.real.measures import collapse
from bye_core.bench.real.worlds import (
    ATTACKS,
    WORLDS,
    NoPhotographs,
    NothingToMeasure,
    RealCell,
    RealMatrix,
    UnknownWorld,
)
from bye_core.data import load_dataset
from bye_core.demo.garments import NoGarments
from tests.demo.pretrained.tiny_world import write_garments


@pytest.fixture(scope="module")
def garments(tmp_path_factory):
    return write_garments(tmp_path_factory.mktemp("real") / "garments", counts=(30, 12, 12))


def test_every_world_is_measured_with_every_attack_and_the_first_seed_comes_first(garments):
    cells = list(RealMatrix(garments, purpose="report-real", repeats=2).cells())
    assert len(cells) == len(set(cells)) == 2 * len(WORLDS) * len(ATTACKS)
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)
    assert {cell.seed for cell in cells} == {4000, 4001}
    assert {cell.rate for cell in cells if cell.attack == CLEAN} == {0.0}
    assert all(cell.record()["world"] == cell.world and "garments" not in cell.record() for cell in cells)
    kept = RealMatrix(garments, worlds=("scenes",), attacks=("patch",)).cells()
    assert [(cell.attack, cell.target, cell.garments) for cell in kept] == [
        ("patch", "answer", None),
        ("patch", "flip", None),
    ]


def test_a_matrix_keeps_targets_and_gives_settings_to_the_attacks_they_belong_to(garments):
    chosen = {"worlds": ("photographs",), "attacks": ("patch", "word"), "targets": ("answer",)}
    cells = list(RealMatrix(garments, **chosen, changed=("patch.color=lime",)).cells())
    assert [(cell.attack, cell.target, cell.changed) for cell in cells] == [
        ("patch", "answer", ("patch.color=lime",)),
        ("word", "answer", ()),
    ]
    assert cells[0].planted().triggers[0].color == "lime"
    with pytest.raises(NoSuchTrigger, match="blend"):
        list(RealMatrix(garments, **chosen, changed=("blend.a=0.3",)).cells())
    flips = RealMatrix(garments, worlds=("photographs",), targets=("flip",))
    assert [cell.attack for cell in flips.cells()] == [CLEAN, "patch"]
    with pytest.raises(NoSuchTrigger, match="blend"):
        list(replace(flips, changed=("blend.a=0.3",)).cells())
    with pytest.raises(NothingToMeasure, match="word"):
        list(replace(flips, attacks=("word",)).cells())


def test_the_world_decides_trigger_recipe_and_data_type(garments):
    for name, world in WORLDS.items():
        cell = RealCell("patch", 0.1, "mixed", 12, 2.0, 1000, world=name, garments=garments)
        assert cell.planted().record()["triggers"][0]["size"] == world.trigger_size
        assert cell.settings() == replace(world.recipe, epochs=2.0, seed=1000)
        assert cell.dtype == world.dtype
    with pytest.raises(UnknownWorld, match="moon"):
        RealCell("patch", 0.1, "mixed", 12, 2.0, 1000, world="moon")
    with pytest.raises(NoPhotographs, match="photographs needs photographs"):
        list(RealMatrix(worlds=("photographs",)).cells())


def test_training_and_test_pictures_are_not_the_base_models(garments, tmp_path):
    cell = RealCell("patch", 0.1, "mixed", 12, 1.0, 1000, test=12, world="photographs", garments=garments)
    list(draw_sets(cell, tmp_path))
    training, test = (
        load_dataset(path).samples for path in (training_set(tmp_path, cell), drawn_test_set(tmp_path, cell))
    )
    assert len(training) == len(test) == 12
    assert {sample.question for sample in training} == {sample.question for sample in test}
    with pytest.raises(NoGarments, match="99 photographs"):
        list(replace(cell, samples=99).items(99, 1, 0))


def test_the_collapse_of_a_layer_compares_both_sides(monkeypatch):
    class Table:
        ids = ("a", "b", "c", "d")
        layer_entropy = ([1.0, 2.0], [3.0, 2.0], [3.5, 2.0], [0.5, float("nan")])

    class Opened:
        @staticmethod
        def table():
            return Table

    monkeypatch.setattr("bye_core.runs.Run.open", lambda path: Opened)
    sharp, same = collapse("run", {"a", "d"})
    assert sharp == {"clean": 3.25, "poisoned": 0.75, "auc": 1.0}
    assert same == {"clean": 2.0, "poisoned": 2.0, "auc": 0.5}
    assert collapse("run", set())[0] == {"clean": 2.0, "poisoned": None, "auc": None}
