"""Parser of PDF."""
