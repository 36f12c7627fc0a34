"""The tables of docs/models.md are those of the registry and of the tiny models that the tests run."""

from tests.docs import model_table


def test_the_tables_are_up_to_date():
    assert model_table.PAGE.read_text(encoding="utf-8") == model_table.page(), "run python -m tests.docs.model_table"
