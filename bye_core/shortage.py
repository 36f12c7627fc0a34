"""How libraries say that memory ran out."""

from __future__ import annotations

# CUDA, its libraries, HIP, MPS and the CPU allocator; torch.OutOfMemoryError is a RuntimeError with the first of them.
MEMORY_MESSAGES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "unable to allocate",
    "status_alloc_failed",
    "nvml_success == r internal assert failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in MEMORY_MESSAGES)
