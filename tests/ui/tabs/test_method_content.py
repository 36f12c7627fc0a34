"""The method's page: which samples it shows, and that it stands without a demo."""

import numpy as np

from bye_core.runs import Run
from bye_core.ui import demo_run
from bye_core.ui.tabs.method import content


def test_the_typical_sample_has_the_question_of_the_suspicious_one(run_path, poisoned):
    run = Run.open(run_path)
    detection, table = run.detection(), run.table()
    typical, worst = content.choose(detection, table.questions)
    assert worst in poisoned
    assert typical not in poisoned
    assert run.sample(typical).question == run.sample(worst).question
    clean, bad = run.rows(typical), run.rows(worst)
    layer = content.sharpest(detection, clean, bad)
    assert layer in detection.sensitive_layers
    assert clean.layer_entropy[layer] > bad.layer_entropy[layer]


def test_nothing_flagged_means_no_pair(run_path):
    run = Run.open(run_path)
    detection = run.detection()
    object.__setattr__(detection, "flagged", np.zeros(len(detection.ids), bool))
    assert content.choose(detection, run.table().questions) is None


def test_a_made_run_is_drawn(run_path, home, monkeypatch, tmp_path):
    (tmp_path / "demo").mkdir()
    run_path.rename(tmp_path / "demo" / "run")
    monkeypatch.setattr(demo_run, "DEMO", tmp_path / "demo")
    example = content.find_example()
    drawn = content.pair(example)
    assert drawn.count("data:image/png;base64,") == 4
    assert "Backdoor Attack!" in drawn


def test_words_alone_where_there_is_no_demo(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_run, "DEMO", tmp_path)
    assert content.find_example() is None
    assert content.PAPER in content.limits()
