"""The Gradio app around the engine: the only importer of gradio."""
