"""The command line's own part: every subcommand has options and work."""

from bye_core import arguments, cli, pipeline
from bye_core.pipeline import training


def test_every_subcommand_is_parsed_and_run():
    assert list(arguments.COMMANDS) == list(cli.COMMANDS)


def test_ids_may_hold_an_equals_sign():
    parsed = arguments.build_parser().parse_args(["decide", "--run", "r", "--set", "a=b=accept", "c=reject"])
    assert parsed.set == [("a=b", "accept"), ("c", "reject")]


def test_a_training_child_gets_every_setting(tmp_path, monkeypatch):
    settings = pipeline.FinetuneSettings(
        epochs=1.5, batch=6, micro_batch=2, rate=1e-7, rank=3, alpha=5, dropout=0.1, projector=False, vision=True,
        qlora=True, weight_decay=0.2, warmup=0.3, clip=0.4, seed=7, gradient_checkpointing=True, save_steps=9,
        save_seconds=1.5, device="cpu", dtype="bfloat16",
    )  # fmt: skip
    asked = []

    def child(arguments, progress, log):
        asked.append(arguments)
        yield {"event": "done", "step": 1, "steps": 1}

    monkeypatch.setattr(training, "run_child", child)
    list(pipeline.finetune("m", "data", tmp_path, settings))
    parsed = arguments.build_parser().parse_args(asked[0])
    assert parsed.here
    assert cli.finetune_settings(parsed) == settings
    untouched = pipeline.FinetuneSettings()
    assert not [name for name in vars(untouched) if getattr(untouched, name) == getattr(settings, name)]
