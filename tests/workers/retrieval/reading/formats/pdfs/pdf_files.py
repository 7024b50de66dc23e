"""PDF documents, written and by hand."""

from __future__ import annotations

import io

import pypdf
from reportlab.pdfgen.canvas import Canvas

# As small as a PDF can be, written by hand.
BY_HAND = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Resources<</Font<</F 4 0 R>>>>/Contents 5 0 R>> endobj
4 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj
5 0 obj <</Length 44>> stream
BT /F 12 Tf 20 200 Td (Written by hand.) Tj ET
endstream endobj
trailer <</Root 1 0 R>>
startxref
0
%%EOF
"""


def written(*pages: str, title: str = "") -> bytes:
    """A PDF with these pages, as a writer makes it."""
    made = io.BytesIO()
    canvas = Canvas(made)
    canvas.setTitle(title)
    for page in pages:
        for number, line in enumerate(page.split("\n")):
            canvas.drawString(72, 750 - 14 * number, line)
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def encrypted(data: bytes, password: str, algorithm: str) -> bytes:
    """The PDF encrypted for readers with this password."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt(user_password=password, owner_password="owner", algorithm=algorithm)
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()
