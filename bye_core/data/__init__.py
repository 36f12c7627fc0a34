"""Data sets: reading and writing every format, decoding images, validation and export. All input may be hostile."""

from bye_core.data.check import check_samples, image_faults, text_faults
from bye_core.data.dataset import DataSet
from bye_core.data.export import export
from bye_core.data.faults import sample_fault
from bye_core.data.formats import FORMATS
from bye_core.data.load import load_dataset

__all__ = [
    "FORMATS",
    "DataSet",
    "check_samples",
    "export",
    "image_faults",
    "load_dataset",
    "sample_fault",
    "text_faults",
]
