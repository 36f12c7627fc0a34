"""The Gradio app. Only this package and app.py import gradio."""
