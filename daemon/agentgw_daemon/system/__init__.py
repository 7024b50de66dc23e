"""The operating system: memory, confinement, environments of children, threads, small files."""
