"""Find back-door poison in multimodal fine-tuning data by where the fine-tuned model looks (BYE, arXiv 2505.16916)."""

__version__ = "0.1.0"
