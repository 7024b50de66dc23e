"""Parsers of data that programs write: XML, JSON, tables, subtitles, calendars."""
