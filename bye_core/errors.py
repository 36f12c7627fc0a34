"""What went wrong and what to do about it: every failure a user can meet is a ByeError."""


class ByeError(Exception):
    """A failure with its remedy. Subclasses fill in `problem` and `remedy`, templates over the keyword facts.

    `kind` is the stable name of the failure in machine-readable output.
    """

    problem = "Something went wrong."
    remedy = "Report this with the command you ran."

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        self.problem = type(self).problem.format(**facts)
        self.remedy = type(self).remedy.format(**facts)
        super().__init__(f"{self.problem} {self.remedy}")

    @property
    def kind(self) -> str:
        return type(self).__name__


class DataError(ByeError):
    """A data set, or one sample of it, cannot be used as it is."""


class ModelError(ByeError):
    """A model or adapter cannot be loaded or cannot be read."""


class RunError(ByeError):
    """A run folder is missing, busy or does not fit what is asked of it."""


class SettingError(ByeError):
    """An option has a value that makes no sense."""
