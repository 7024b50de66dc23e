"""Saved states on disk: format and folder."""
