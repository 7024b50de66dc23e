"""A document as Word writes it."""

from __future__ import annotations

import io

import docx


def words_own() -> bytes:
    """A document as a writer of them makes it."""
    document = docx.Document()
    document.core_properties.title = "Handbook"
    document.add_heading("Travel", level=1)
    document.add_paragraph(
        "Trips are booked two weeks before. Ask the office which hotels there are, and which of them take dogs."
    )
    document.add_heading("Trains", level=2)
    document.add_paragraph("First class is for trips of five hours.", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for row, values in zip(table.rows, (("City", "Hours"), ("Basel", "5")), strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    document.add_heading("Food", level=1)
    document.add_paragraph("Breakfast is paid. " * 40)
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()
