"""Many records through one question each: read, asked about several at a time, written in their order."""
