"""Engines, that is, what answers a prompt: the echo, OpenAI-compatible endpoints, llama.cpp workers and who watches them."""
