"""The errors of a run folder, each with its remedy."""

from __future__ import annotations

from bye_core.errors import RunError, SettingError


class NotARun(RunError):
    problem = "{path} is not a run folder."
    remedy = "Give the folder that `scan --run` wrote, or scan the data set first."


class RunExists(RunError):
    problem = "{path} already holds a run."
    remedy = "Resume that run, or choose another folder."


class FolderNotEmpty(RunError):
    problem = "{path} holds files that do not belong to a run, such as {name}."
    remedy = "Choose an empty or a new folder for the run."


class RunBusy(RunError):
    problem = "{holder} is writing to {path}."
    remedy = "Wait until that process ends, or stop it. Saved results are kept."


class RunMismatch(RunError):
    problem = "The run {path} was started with other settings: {differences}."
    remedy = "Use the settings that the run was started with, or scan into a new folder."


class RunNotWritable(RunError):
    problem = "{path} cannot be written: {reason}."
    remedy = "Free disk space or make the folder writable, then start again. Saved results are kept."


class DamagedRun(RunError):
    problem = "The file {file} of the run is damaged: {detail}."
    remedy = "Restore {file} from a copy. {advice}"


class NotWriting(RunError):
    problem = "The run {path} is not open for writing."
    remedy = "Call `append` inside `with run.writing():`."


class DuplicateSamples(RunError):
    problem = "Several samples have the id {id!r}."
    remedy = "Give every sample a unique id; `check` lists the duplicates."


class UnknownSample(RunError):
    problem = "The run at {path} has no sample {id!r}."
    remedy = "Use the id of a sample in the scanned data set (as text)."


class NotScanned(RunError):
    problem = "Sample {id!r} has not been scanned yet."
    remedy = "Scan again with the same --run. Only missing samples are scanned."


class DamagedSample(RunError):
    problem = "The stored data of sample {id!r} fails its checksum."
    remedy = "Scan again with the same --run. Only missing and damaged samples are scanned."


class ShapeMismatch(RunError):
    problem = "Sample {id!r} has {shape} layers x heads, but the run has {expected}."
    remedy = "Scan the whole run with one model, or scan into a new folder."


class NotText(SettingError):
    problem = "The {name} of a decision is {value!r}, which is not text."
    remedy = "Give it as text."


class UnknownChoice(SettingError):
    problem = "{choice!r} is not a decision."
    remedy = "Choose one of: {choices}."
