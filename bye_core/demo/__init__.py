"""Makes the shipped demo from a seed: pictures, a small LLaVA, poisoned and clean fine-tunes, a finished run."""
