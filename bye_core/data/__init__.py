"""Data sets in and out: every format, safe pictures, validation, export. Hostile by assumption."""

from bye_core.data.check import check, image_faults, text_faults
from bye_core.data.dataset import DataSet
from bye_core.data.export import export
from bye_core.data.faults import fault_of
from bye_core.data.formats import FORMATS
from bye_core.data.load import load_dataset

__all__ = ["FORMATS", "DataSet", "check", "export", "fault_of", "image_faults", "load_dataset", "text_faults"]
