"""The tests of a causal check, for one batch of flagged samples at a time."""

from bye_core.pipeline.causal.batch import CausalTests
from bye_core.pipeline.causal.scanned_model import SampleCheck

__all__ = ["CausalTests", "SampleCheck"]
