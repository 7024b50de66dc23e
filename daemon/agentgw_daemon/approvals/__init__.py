"""Approvals of tool calls: rules, the queue of questions, and their answers."""
