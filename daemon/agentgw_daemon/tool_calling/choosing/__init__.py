"""Choices made by the words of a request, for models that cannot make them."""
