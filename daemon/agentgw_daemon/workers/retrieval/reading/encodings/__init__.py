"""Encodings of text: names that documents give them, declarations, two bytes a letter, and guesses."""
