"""Dialects of tool calls: how models are told of tools and how their calls are read. Pure."""
