"""Base models from pretrained parts: a language model and a vision tower that Python packages ship."""
