"""Scores a model's answers to a test set: exact match, CIDEr, attack success."""
