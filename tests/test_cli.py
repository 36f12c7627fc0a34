"""The command line's own part: every subcommand has options and work."""

from bye_core import arguments, cli


def test_every_subcommand_is_parsed_and_run():
    assert list(arguments.COMMANDS) == list(cli.COMMANDS)


def test_ids_may_hold_an_equals_sign():
    parsed = arguments.build_parser().parse_args(["decide", "--run", "r", "--set", "a=b=accept", "c=reject"])
    assert parsed.set == [("a=b", "accept"), ("c", "reject")]
