"""Errors of workers."""

from bye_core.errors import ByeError, SampleFailed, SettingError


class NoRay(SettingError):
    problem = "Several workers need the package ray, which is not installed."
    remedy = "Install it with: pip install ray, or leave out --workers and --ray."


class ClusterNotJoined(ByeError):
    problem = "The Ray cluster {address} cannot be joined: {reason}"
    remedy = "Check the address and that the cluster has the same versions of Ray and Python as this machine."


class RayNotStarted(ByeError):
    problem = "Ray cannot be started on this machine: {reason}"
    remedy = "Correct the cause, or leave out --workers to use one process."


class TooManyWorkers(SettingError):
    problem = "{workers} workers need {workers} GPUs, but Ray has {gpus}."
    remedy = "Give at most {gpus} as --workers, or --device cpu."


class ModelOnAllGpus(SettingError):
    problem = "One process uses all GPUs for a model that is spread over them."
    remedy = "Give either --device-map or --workers and --ray."


class WorkersFailed(ByeError):
    problem = "The workers end again and again without a result. The last reason: {reason}"
    remedy = "Correct the cause and run the command again: it resumes. To see the error itself, use one process."


class NoWorkerStarted(ByeError):
    problem = "No worker has started within {seconds:,} seconds."
    remedy = (
        "Check that the cluster has free machines with this version of the package, and that they can read the model's "
        "folder. Then run the command again: it resumes."
    )


class WorkersDiffer(ByeError):
    problem = "The workers differ in {name}: one has {one}, another {other}."
    remedy = "Give all machines the same files of the model and the same versions of the packages."


class WorkerEnded(SampleFailed):
    problem = "Sample {id} ended every worker that tried it: {reason}"
    remedy = "Check the image and the text of this sample; leave the sample out if it cannot be repaired."
