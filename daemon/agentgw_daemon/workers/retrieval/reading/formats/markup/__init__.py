"""Formats with markup: HTML, XML, Markdown and its kin, manual pages."""
