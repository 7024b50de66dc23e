"""Engines, that is, what answers a prompt: the echo, OpenAI-compatible endpoints, llama.cpp workers and their watch."""
