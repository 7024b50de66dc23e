"""Routes of our own API, what they are for programs and people, and figures for Prometheus."""
