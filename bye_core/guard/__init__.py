"""Test-time guard: a new picture and question held against what a finished run knows of triggered samples."""

from bye_core.guard.judge import METHOD, GuardNeedsBye, NoMode, Reading, check_detection, judge, variant

__all__ = ["METHOD", "GuardNeedsBye", "NoMode", "Reading", "check_detection", "judge", "variant"]
