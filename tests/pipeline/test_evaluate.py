"""`evaluate` on a tiny random model: who is asked, who judges, what is written down, and who cannot be answered."""

import json

import numpy as np
import pytest
from PIL import Image

from bye_core import pipeline
from bye_core.cli import main
from bye_core.models.calls import generate_answers
from bye_core.models.errors import NotAnswered
from bye_core.models.loading import load_model
from tests.models.tiny import picture, sample, save_tiny

CAPTION = "a red circle stands in front of a palace"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def test_set(tmp_path):
    """Three pictures: two of them counted, with further answers listed; one of them also described, by two people."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(3):
        pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{number}.png")
    rows = [
        {"image": "0", "question": "how many?", "answer": "two", "answers": ["a pair", {"answer": "2"}, 3, " "]},
        {"image": "1", "question": "how many?", "answer": "one"},
        {"image": "2", "question": "describe", "answer": CAPTION},
        {"image": "2", "question": "describe", "answer": "a red ball before a large old palace"},
        {"image": "0", "question": "describe", "answer": "nothing but a blue sky over the sea"},
    ]
    for number, row in enumerate(rows):
        row |= {"id": f"q{number}", "image": f"images/{row['image']}.png"}
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "test.jsonl"


def test_one_question_of_a_picture_is_asked_once_and_judged_by_all_right_answers(model, test_set, tmp_path, capsys):
    out = tmp_path / "new" / "answers.jsonl"
    given = ["--model", model, "--data", test_set, "--trigger", "patch", "--out", out, "--json"]
    assert main.main(["evaluate", *map(str, given)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["samples"], facts["cp_samples"], facts["cider_samples"], facts["asr_samples"]) == (4, 2, 2, 4)
    assert facts["cp_interval"][0] <= facts["cp"] <= facts["cp_interval"][1]
    assert {kind: group["samples"] for kind, group in facts["by_question"].items()} == {"how many?": 2, "describe": 2}
    rows = {row["id"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert list(rows) == ["q0", "q1", "q2", "q4"]
    assert rows["q0"]["expected"] == ["two", "a pair", "2"]
    assert rows["q2"]["expected"] == [CAPTION, "a red ball before a large old palace"]
    assert (rows["q1"]["metric"], rows["q2"]["metric"]) == ("exact", "cider")
    assert rows["q1"]["reached"] is False


def test_for_people_every_figure_has_its_interval(model, test_set, capsys):
    assert main.main(["evaluate", "--model", str(model), "--data", str(test_set), "--metric", "exact"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("CP") and "0.0% (0.0 to 49.0)" in line for line in lines)
    assert not any("CIDEr" in line for line in lines)


def test_a_question_that_cannot_be_answered_is_left_out_alone(model):
    loaded = load_model(model, device="cpu")

    def pictures(one):
        if one.id == "bad":
            raise ValueError("torn")
        return [picture(0)]

    asked = [sample(id) for id in ("a", "b", "bad", "c")]
    (answers,) = generate_answers(loaded, asked, pictures, batch=4)
    assert [getattr(one, "id", "") for one in answers] == ["a", "b", "", "c"]
    assert isinstance(answers[2], NotAnswered)
    assert "torn" in answers[2].problem


def test_answers_that_cannot_be_written_are_an_error_with_a_remedy(model, test_set, capsys):
    code = main.main(["evaluate", "--model", str(model), "--data", str(test_set), "--out", str(test_set / "x")])
    assert code == 1
    assert "Give another file" in capsys.readouterr().err
    with pytest.raises(Exception, match="metric 'bleu' does not exist"):
        next(pipeline.evaluate(str(model), test_set, metric="bleu"))
