"""Errors with a remedy: every failure that a user can meet is a ByeError."""


class ByeError(Exception):
    """A failure with its remedy. Subclasses set the templates `problem` and `remedy`, which `facts` fill in."""

    problem = "Something went wrong."
    remedy = "Report this with the command you ran."

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        self.problem = type(self).problem.format(**facts)
        self.remedy = type(self).remedy.format(**facts)
        super().__init__(f"{self.problem} {self.remedy}")

    @property
    def kind(self) -> str:
        """The stable name of the failure in machine-readable output."""
        return type(self).__name__


class DataError(ByeError):
    """A data set, or one sample of it, cannot be used."""


class ModelError(ByeError):
    """A model or an adapter cannot be loaded or read."""


class RunError(ByeError):
    """A run folder is missing, busy or does not fit the request."""


class SettingError(ByeError):
    """An option has an invalid value."""


class SampleFailed(ModelError):
    """The model failed on one sample; the other samples are not affected."""

    problem = "Sample {id} could not be read: {reason}"
    remedy = "Check the image and the text of this sample; leave the sample out if it cannot be repaired."
