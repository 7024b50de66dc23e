"""The log file, and faults on demand in tests."""
