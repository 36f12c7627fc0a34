"""Test-time guard: compares a new image and question with the triggered samples of a finished run."""

from bye_core.guard.judgement import NoMode, NoPattern, Reading, check_detection, judge, reading_of, variant

__all__ = ["NoMode", "NoPattern", "Reading", "check_detection", "judge", "reading_of", "variant"]
