"""Files that tools may touch: below roots, and never secrets."""
