"""The daemon on this machine: where its files are, how it is found, started and stopped."""
