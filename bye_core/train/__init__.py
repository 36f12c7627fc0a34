"""LoRA fine-tuning in a child process, and what the tuned model does: clean performance and attack success."""
