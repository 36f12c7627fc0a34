"""Loads vision-language models and describes each model family: prompt, image tokens, position of a token in an image.

Imports nothing, so that `bye_core.models.families` can be read without loading torch.
"""
