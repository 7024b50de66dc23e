"""Limits of the tests of batches."""

from __future__ import annotations

from typing import Final

# More than any test computes: a loop that needs more does not come to its end.
MOST_STEPS: Final = 100_000
