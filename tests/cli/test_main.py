"""The command line itself: its subcommands, and options that become settings."""

import json

import pytest

from bye_core import pipeline
from bye_core.cli import main
from bye_core.cli.options import finetune_settings, reading_options
from bye_core.data.reading import ReadingOptions
from bye_core.errors import SettingError
from bye_core.records import Progress
from tests import made_run
from tests.pipeline.stages import stage


def test_the_subcommands_are_those_of_the_contract():
    analysis = "check poison finetune scan detect decide export evaluate score clean report evidence inspect guard"
    assert list(main.COMMANDS) == [*analysis.split(), "demo", "bench", "bench-detect", "bench-real"]


def test_ids_may_hold_an_equals_sign():
    parsed = main.build_parser().parse_args(["decide", "--run", "r", "--set", "a=b=accept", "c=reject"])
    assert parsed.set == [("a=b", "accept"), ("c", "reject")]


def test_a_training_child_gets_every_setting(tmp_path, monkeypatch):
    settings = pipeline.FinetuneSettings(
        epochs=1.5, batch=6, micro_batch=2, rate=1e-7, rank=3, alpha=5, dropout=0.1, projector=False, vision=True,
        qlora=True, weight_decay=0.2, warmup=0.3, clip=0.4, seed=7, gradient_checkpointing=True, save_steps=9,
        save_seconds=1.5, device="cpu", dtype="bfloat16", min_pixels=784, max_pixels=3136,
    )  # fmt: skip
    asked = []

    def child(arguments, progress, log):
        asked.append(arguments)
        yield {"event": "done", "step": 1, "steps": 1}

    monkeypatch.setattr(stage("finetune"), "run_child", child)
    reading = ReadingOptions("vqa", {"image": "wo", "question": "frage"}, "train", "What?", True)
    list(pipeline.finetune("m", "data", tmp_path, settings, reading))
    parsed = main.build_parser().parse_args(asked[0])
    assert parsed.here
    assert reading_options(parsed) == reading
    assert finetune_settings(parsed) == settings
    untouched = pipeline.FinetuneSettings()
    unchanged = [name for name in vars(untouched) if getattr(untouched, name) == getattr(settings, name)]
    assert unchanged == ["fsdp"]  # which a child process cannot have: it is one process


def test_a_split_model_needs_several_processes(tmp_path, capsys):
    split, out = pipeline.FinetuneSettings(fsdp=True), tmp_path / "out"
    for steps in (pipeline.finetune("m", "d", out, split), pipeline.clean(pipeline.Cleaning("m", "d", split), out)):
        with pytest.raises(SettingError, match="Start one process for each GPU"):
            next(steps)
    with pytest.raises(SettingError, match="Start one process for each GPU"):
        pipeline.finetune_here("m", "d", out, split)
    assert not out.exists()
    command = ["finetune", "--model", "m", "--data", "d", "--out", str(out), "--fsdp", "--qlora"]
    assert main.main(command) == 1
    assert "not both" in capsys.readouterr().err


def test_options_that_contradict_each_other_are_refused_also_if_no_model_is_asked(tmp_path, capsys):
    assert main.main(["evidence", "--run", str(tmp_path), "--device-map", "auto", "--device", "cpu"]) == 1
    assert "Give only one of the two options" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--check"], ["--device", "cpu"], ["--data", "moved"], ["--workers", "1"]])
def test_every_option_of_the_causal_check_turns_it_on(option, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        pipeline, "check_causes", lambda *where, **how: asked.append(where) or iter([Progress("check", 1, 1)])
    )
    assert main.main(["evidence", "--run", str(tmp_path), *option]) == 1  # there is no run
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("options", "micro_batch"),
    [([], 16), (["--batch", "8"], 8), (["--batch", "24"], 8), (["--batch", "8", "--micro-batch", "4"], 4)],
)
def test_the_micro_batch_fits_into_the_batch(options, micro_batch):
    parsed = main.build_parser().parse_args(["finetune", "--model", "m", "--data", "d", "--out", "o", *options])
    assert finetune_settings(parsed).micro_batch == micro_batch


def test_a_micro_batch_that_was_given_stays():
    options = ["--batch", "8", "--micro-batch", "3"]
    parsed = main.build_parser().parse_args(["finetune", "--model", "m", "--data", "d", "--out", "o", *options])
    with pytest.raises(SettingError, match="divisor of batch = 8"):
        finetune_settings(parsed)


def test_settings_of_any_method_by_name(tmp_path, capsys):
    run = made_run.make_run(tmp_path, samples=60)
    command = ["detect", "--run", str(run), "--json", "--method"]
    assert main.main([*command, "tcap", "--setting", "heads=3", "depth=1.0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["method"], found["settings"]["heads"], found["settings"]["depth"]) == ("tcap", 3, 1.0)
    assert set(found["layers"][0]) == {"layer", "mixture", "bsi", "kl", "sensitive", "note"}
    assert main.main([*command, "auto", "--setting", "heads=3"]) == 1
    assert "has no setting 'heads'" in capsys.readouterr().err
    assert main.main([*command, "loss"]) == 1
    assert "--answers and --adapter" in capsys.readouterr().err


def test_auto_is_the_usual_method_and_the_papers_options_mean_its_rule(tmp_path, capsys):
    run = made_run.make_run(tmp_path, samples=60)

    def method(*options):
        assert main.main(["detect", "--json", *map(str, options)]) == 0
        return json.loads(capsys.readouterr().out)["method"]

    assert method("--run", run) == method("--run", run, "--setting", "clear=0.7") == "auto"
    assert method("--run", run, "--tau", 1) == method("--run", run, "--no-select") == "bye"
    assert main.main(["export", "--run", str(run), "--format", "bye-entropy", "--out", str(tmp_path / "e.jsonl")]) == 0
    capsys.readouterr()
    assert method("--entropy", tmp_path / "e.jsonl") == "bye"


def test_a_detection_without_mixtures_is_reported_in_lines(tmp_path, capsys):
    run = made_run.make_run(tmp_path, samples=60)
    assert main.main(["detect", "--run", str(run), "--method", "auto"]) == 0
    told = capsys.readouterr().out
    assert "low mode" not in told
    assert 'The answer "Backdoor Attack!" of 6 samples is out of place' in told
    assert "voted" in told
