"""Admission of requests, and the record of them."""
