"""The command line: `python -m bye_core SUBCOMMAND`, or `bye-core SUBCOMMAND` after installation."""
