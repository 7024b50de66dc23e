"""The one database: sessions, turns, messages and the log that replays turns."""
