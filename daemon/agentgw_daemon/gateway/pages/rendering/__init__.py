"""Rendering of pages: templates, what they are filled with, and the styles and scripts that they name."""
