"""Child processes of tools."""
