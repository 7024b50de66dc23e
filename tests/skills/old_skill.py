"""A skill in the old format."""

from __future__ import annotations

OLD = """\
name: code_reviewer
description: "Reviews code"
system_prompt: |
  You review code.
    Keep indentation.
tools:
  - read_file
  - search_documents
model: llama3.2:3b
temperature: 0.3
max_iterations: 12
tags: [code, review]
examples:
  - "Review this function"
  - input: What is wrong here?
    output: The loop.
sub_agents: [quick_assistant]
rag_context:
  enabled: true
  top_k: 5
  skills: [code_reviewer]
  tags: [python, style]
"""
