"""Loads vision-language models and describes each model family: prompt, image tokens, position of a token in an image.

This file imports nothing, so that `bye_core.models.families` can be imported without loading torch.
"""
