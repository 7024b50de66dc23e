"""TOML and environment to frozen settings, with the origin of each value."""
