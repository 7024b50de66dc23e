"""The prompt: line editor, history, completion, and the bar below it."""
