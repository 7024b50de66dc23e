"""Looks at everything a working daemon needs and says what is wrong and how to put it right.

`examination.examine` runs the table of checks; the checks are by subject in `places`, `models` and `system`.
"""
