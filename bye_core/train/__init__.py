"""Fine-tunes a model with LoRA in a child process, with checkpoints that can be resumed."""
