"""Parsers of office documents."""
