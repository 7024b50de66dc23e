"""The one connection to SQLite, the library that it is used through, and the file system that it stands on."""
