"""Engines: what answers a prompt. The built-in echo, OpenAI-compatible endpoints, llama.cpp workers and their supervision."""
