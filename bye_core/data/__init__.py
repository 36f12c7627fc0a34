"""Data sets: reading and writing every format, decoding images, validation and export. All input may be hostile."""

from bye_core.data.check import Markers, check_samples
from bye_core.data.dataset import DataSet
from bye_core.data.export import export
from bye_core.data.faults import sample_fault
from bye_core.data.formats import FORMATS
from bye_core.data.load import load_dataset

__all__ = [
    "FORMATS",
    "DataSet",
    "Markers",
    "check_samples",
    "export",
    "load_dataset",
    "sample_fault",
]
