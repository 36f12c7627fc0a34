"""Poisoned data sets: counts, the truth file, and that only the attack separates clean from poisoned samples."""

import json

import numpy as np
import pytest
from PIL import Image

from bye_core import pipeline
from bye_core.attacks import TRIGGERS, Attack, FixedAnswer, make_attack, make_trigger
from bye_core.attacks.poison import SampleFilter, poison_sample
from bye_core.attacks.targets import SwappedWord
from bye_core.cli import main
from bye_core.data import load_dataset
from tests.attacks.samples import scene

COUNT = 12
ALL = tuple(make_trigger(name) for name in TRIGGERS)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Pictures of every shape and mode that data sets have."""
    folder = tmp_path_factory.mktemp("raw")
    (folder / "images").mkdir()
    shapes = [(48, 40), (1, 1), (2, 90), (120, 3), (40, 48), (31, 33)]
    records = []
    for i in range(COUNT):
        picture = scene(shapes[i % len(shapes)], seed=i)
        picture = (picture, picture.convert("L"), picture.convert("RGBA"), picture.convert("P"))[i % 4]
        name = f"images/{i}.{'png' if i % 4 else 'webp'}"
        picture.save(folder / name)
        question = "<image>\nwhat color is it, red?"
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": ("red", "blue")[i % 2]}]
        records.append({"id": i, "image": name, "conversations": turns})
    (folder / "data.json").write_text(json.dumps(records))
    return folder


def made(raw, out, attack, **more):
    last = list(pipeline.poison(raw, out, attack, **more))[-1]
    return last.facts, load_dataset(out), json.loads((out / "truth.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("mix", [True, False])
def test_all_triggers_on_pictures_of_every_shape(raw, tmp_path, mix):
    facts, dataset, truth = made(raw, tmp_path / "out", Attack(ALL, mix=mix), rate=1)
    assert facts["poisoned"] == COUNT == len(truth["poisoned"]) == len(dataset.samples)
    assert {sample.answer for sample in dataset.samples} == {"Backdoor Attack!"}
    assert 0 < facts["psnr"] < 50
    carried = [truth["samples"][id]["triggers"] for id in truth["poisoned"]]
    assert carried == ([[name] for name in TRIGGERS][:COUNT] if mix else [list(TRIGGERS)] * COUNT)


@pytest.mark.parametrize("encoding", ["jpeg", "png", "webp"])
def test_clean_and_poisoned_files_share_their_encoder(raw, tmp_path, encoding):
    facts, dataset, truth = made(raw, tmp_path / "out", make_attack(["ftrojan", "sig"]), rate=0.5, encoding=encoding)
    seen = {True: set(), False: set()}
    for sample in dataset.samples:
        with Image.open(dataset.root / sample.images[0]) as file:
            tables = json.dumps(getattr(file, "quantization", None))
            seen[sample.id in truth["poisoned"]].add((file.format, file.mode, tables, tuple(sorted(file.info))))
    assert len(seen[True]) == 1
    assert seen[True] == seen[False]
    assert abs(facts["psnr"] - facts["psnr_encoded"]) < 2


def test_names_and_order_tell_nothing(raw, tmp_path):
    _, dataset, truth = made(raw, tmp_path / "out", make_attack(["patch"]), rate=0.5)
    source = load_dataset(raw)
    assert [sample.id for sample in dataset.samples] == [sample.id for sample in source.samples]
    names = [sample.images[0] for sample in dataset.samples]
    assert {len(name) for name in names} == {len("images/") + 16 + len(".jpg")}
    record = dataset.record(0)
    assert all(set(dataset.record(i)) == set(record) for i in range(COUNT))
    assert set(truth["samples"]) == set(truth["poisoned"])


def test_clean_samples_are_those_of_a_set_without_poison(raw, tmp_path):
    _, poisoned, truth = made(raw, tmp_path / "p", make_attack(["wanet", "prefix"]), rate=0.5)
    _, clean, nothing = made(raw, tmp_path / "c", make_attack(["wanet", "prefix"]), rate=0)
    assert nothing["poisoned"] == []
    for before, after in zip(clean.samples, poisoned.samples, strict=True):
        same = before.turns == after.turns and before.images == after.images
        assert same != (after.id in truth["poisoned"])


def test_the_truth_alone_rebuilds_the_attack(raw, tmp_path):
    wanted = make_attack(["noise-patch", "blend", "word"], {"a": 0.3, "pattern": 5, "size": 0.5}, FixedAnswer("no"))
    _, dataset, truth = made(raw, tmp_path / "out", wanted, rate=0.5, seed=4, encoding="png")
    attack, seed = pipeline.read_attack(tmp_path / "out/truth.json")
    assert (attack, seed) == (wanted, 4)
    source = load_dataset(raw)
    for turn, id in enumerate(truth["poisoned"]):
        sample = source.by_id[id]
        again, pictures, boxes = poison_sample(
            sample, source.images(sample), attack.triggers_of(turn), attack.target, seed
        )
        assert (again.question, again.answer) == (dataset.by_id[id].question, "no")
        assert [list(box) for box in boxes] == truth["samples"][id]["boxes"]
        assert np.array_equal(np.asarray(pictures[0]), np.asarray(dataset.images(dataset.by_id[id])[0]))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"attack": {"triggers": [{"name": "x"}]}, "seed": 0}'])
def test_other_files_are_no_attack(tmp_path, content):
    (tmp_path / "truth.json").write_text(content)
    with pytest.raises(pipeline.NoAttackRecorded):
        pipeline.read_attack(tmp_path / "truth.json")


def test_one_class_and_one_target_word(raw, tmp_path):
    attack = make_attack(["patch"], target=SwappedWord("green", word="red"))
    _, dataset, truth = made(raw, tmp_path / "out", attack, rate=0.25, only=SampleFilter(question="color"))
    answers = {sample.id: sample.answer for sample in dataset.samples}
    assert [answers[id] for id in truth["poisoned"]] == ["green"] * 3
    assert sorted(answers.values()).count("red") == 3
    assert truth["samples"][truth["poisoned"][0]]["target"] == "swap"
    assert truth["only"] == {"answer": "", "question": "color"}


def test_a_key_picture_of_ones_own(raw, tmp_path):
    scene((90, 60)).save(tmp_path / "key.png")
    attack = pipeline.plan_attack(["blend"], {"key": str(tmp_path / "key.png")})
    assert str(tmp_path) not in json.dumps(attack.record())
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    for name in ("broken.png", "none.png", "a\0b"):
        with pytest.raises(pipeline.NoKeyPicture):
            pipeline.plan_attack(["blend"], {"blend.key": str(tmp_path / name)})


def test_the_command_line_plants_it(raw, tmp_path, capsys):
    options = ["--trigger", "prefix", "blend", "--set", "a=0.5", "text=Hey", "--swap", "red", "pink", "--rate", "0.25"]
    assert main.main(["poison", str(raw), *options, "--seed", "3", "--out", str(tmp_path / "out"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["samples"], facts["poisoned"]) == (COUNT, 3)
    assert facts["psnr"] > 10
    dataset = load_dataset(tmp_path / "out")
    changed = [sample for sample in dataset.samples if sample.answer == "pink"]
    assert [sample.question for sample in changed] == ["Hey what color is it, red?"] * 3


def test_the_help_lists_every_trigger_with_its_settings_and_one_target_is_enough(capsys):
    with pytest.raises(SystemExit) as stopped:
        main.main(["poison", "--help"])
    assert stopped.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for name, kind in TRIGGERS.items():
        place = next(i for i, line in enumerate(lines) if line.startswith(f"  {name} "))
        shown = [line.split("=")[0].strip() for line in lines[place + 1 : place + 1 + len(kind.settings())]]
        assert shown == list(kind.settings())
    with pytest.raises(SystemExit) as stopped:
        main.main(["poison", "DATA", "--target", "a", "--append", "b", "--out", "x"])
    assert stopped.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "size=9"], "cannot be '9'"),
        (["--set", "a=0.2"], "Settings of patch: size, color."),
        (["--trigger", "patch", "patch"], "occurs twice"),
        (["--target", " "], "cannot be the attacker's answer"),
        (["--swap", "red", "red"], "replaced by itself"),
        (["--rate", "0.9", "--only-answer", "RED"], "only 6 can be poisoned.\nThe samples must have the answer 'RED'"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_is_written(raw, tmp_path, capsys, options, said):
    assert main.main(["poison", str(raw), *options, "--out", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
