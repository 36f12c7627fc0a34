"""Benchmark of the detectors: attacks x rates x question mixes x sizes x seeds, with a small model trained on each."""
