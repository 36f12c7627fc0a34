"""The Gradio app around the engine. Only this package and app.py import gradio."""
