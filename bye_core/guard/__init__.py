"""Test-time guard: a new picture and question held against what a finished run knows of triggered samples."""

from bye_core.guard.judgement import NoMode, Reading, check_detection, judge, reading_of, variant

__all__ = ["NoMode", "Reading", "check_detection", "judge", "reading_of", "variant"]
