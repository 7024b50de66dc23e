"""Sample messages and the shipped skill that each is for: some share words with its description, some do not."""

from __future__ import annotations

from typing import Final

CLEAR: Final = (
    ("Summarize this document for me", "summarize-document"),
    ("summarise the mail thread below", "summarize-document"),
    ("Give me the key points of these notes", "summarize-document"),
    ("Write a python code snippet that reverses a list", "code-assistant"),
    ("Explain this error message: KeyError: 'id'", "code-assistant"),
    ("review this shell command", "code-assistant"),
    ("I need debugging for my programming exercise", "code-assistant"),
    ("Make a plan for moving the office, with risks and next actions", "project-manager"),
    ("break this goal into tasks and steps", "project-manager"),
    ("write a status report for my project", "project-manager"),
    ("my script crashes with a segfault", "code-assistant"),
    ("write a regex for dates", "code-assistant"),
    ("convert 3 miles to km", "quick-assistant"),
    ("translate hello to French", "quick-assistant"),
    ("shorten this article", "summarize-document"),
)
UNCLEAR: Final = (
    ("fix this function: def f(x) return x", "code-assistant"),
    ("tl;dr please", "summarize-document"),
    ("we have to launch the shop in May, where do we begin?", "project-manager"),
    ("how many feet are in a mile?", "quick-assistant"),
    ("capital of Peru?", "quick-assistant"),
    ("is 97 prime? yes or no", "quick-assistant"),
    ("why is the sky blue?", "general-assistant"),
    ("hello, how are you?", "general-assistant"),
    ("Should I take the job in Oslo?", "general-assistant"),
    ("Schreib mir ein Gedicht über den Herbst", "general-assistant"),
    ("rewrite this sentence more politely", "general-assistant"),
)
