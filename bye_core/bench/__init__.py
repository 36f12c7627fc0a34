"""The bench: attacks x rates x question mixes x sizes x seeds, a small model trained on each, every detector on it."""
