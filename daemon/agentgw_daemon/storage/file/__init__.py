"""The database file: opened, checked, migrated, backed up, repaired."""
