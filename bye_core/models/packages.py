"""Names the package that a model or a processor misses."""

from __future__ import annotations

import re

# How transformers names a package that it misses.
PACKAGE_PATTERNS = (
    r"pip install ([\w.-]+)", r"requires the ([\w.-]+) library", r"Missing optional dependencies: ([\w.-]*\w)",
)  # fmt: skip


def missing_package(error: Exception) -> str | None:
    """Return the package that an error asks for; None if it names none."""
    for pattern in PACKAGE_PATTERNS:
        if named := re.search(pattern, str(error)):
            return named[1].lower()
    return error.name if isinstance(error, ModuleNotFoundError) else None
