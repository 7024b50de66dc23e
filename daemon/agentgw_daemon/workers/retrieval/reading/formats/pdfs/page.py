"""One page of a PDF by PDFium: its text, notes and filled fields. Does no I/O.

PDFium finds the gaps between words by their places, reads a line once that is drawn several times to look bold, and
tells the letters for which a font has no Unicode. It is native code: it runs in the worker for documents only.
"""

from __future__ import annotations

import ctypes
import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import pypdfium2
import pypdfium2.raw as pdfium

from agentgw_daemon.workers.retrieval.reading.formats.pdfs.words import folded, share_unreadable

_MAX_NOTES: Final = 2000
_MAX_VALUE_BYTES: Final = 1 << 20
# Letters of a page whose meaning is asked; and the share without one from which on a page says nothing.
_ASKED_LETTERS: Final = 400
_MOST_UNMAPPED: Final = 0.3
# Letters that are asked where they point.
_ASKED_ANGLES: Final = 40
# A word so long may be several whose gaps are narrower than PDFium takes for one; in parts of the letters' size.
_LONG_WORD: Final = re.compile(r"[^\W\d_][^\s]{14,400}")
_GAP: Final = 0.045
_TIMES_USUAL: Final = 3
# Of annotations: links, their windows, fields (which are read as such), and marks without words.
_NO_NOTES: Final = frozenset({pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP, pdfium.FPDF_ANNOT_WIDGET})
_TEXT_FIELDS: Final = frozenset(
    {pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX}
)
_MARKED_FIELDS: Final = frozenset({pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON})
_PASSWORD_FLAG: Final = 1 << 13


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PdfPage:
    """The text of a page with its lines, its filled fields and its notes; the share of letters without a meaning.

    An `unreadable` page has so many of these that its text is left out.
    """

    text: str
    fields: tuple[str, ...]
    notes: tuple[str, ...]
    unmapped: float

    @property
    def unreadable(self) -> bool:
        """Tells whether the page has text that says nothing."""
        return self.unmapped > _MOST_UNMAPPED


def page_of(document: pypdfium2.PdfDocument, number: int) -> PdfPage:
    """The page of this number, from 0. Raises PdfiumError for a broken one."""
    page = document[number]
    try:
        textpage = _text_of(page)
        try:
            text = textpage.get_text_range()
            unmapped = _unmapped(textpage.raw, text)
            text = "" if unmapped > _MOST_UNMAPPED else folded(_with_gaps(textpage.raw, text))
        finally:
            textpage.close()
        fields, notes = _annotations(page.raw, document.formenv)
        return PdfPage(text=text, fields=fields, notes=notes, unmapped=unmapped)
    finally:
        page.close()


def _text_of(page: pypdfium2.PdfPage) -> pypdfium2.PdfTextPage:
    """The text of a page as it is shown, or of the page turned upright where its lines run down the page: PDFium gives
    those from the last to the first.
    """
    textpage = page.get_textpage()
    letters = pdfium.FPDFText_CountChars(textpage.raw)
    asked = range(0, letters, max(1, letters // _ASKED_ANGLES))
    angles = (pdfium.FPDFText_GetCharAngle(textpage.raw, at) for at in asked)
    turns = [round(angle / (math.pi / 2)) % 4 for angle in angles if angle >= 0]
    shown = pdfium.FPDFPage_GetRotation(page.raw)
    down = (1 - shown) % 4
    if turns.count(down) * 2 <= len(turns):
        return textpage
    textpage.close()
    pdfium.FPDFPage_SetRotation(page.raw, -down % 4)
    return page.get_textpage()


def _unmapped(textpage: Any, text: str) -> float:
    letters = pdfium.FPDFText_CountChars(textpage)
    asked = range(0, letters, max(1, letters // _ASKED_LETTERS))
    wrong: int = sum(pdfium.FPDFText_HasUnicodeMapError(textpage, at) == 1 for at in asked)
    return max(wrong / max(1, len(asked)), share_unreadable(text))


def _with_gaps(textpage: Any, text: str) -> str:
    """The text with spaces in words that stand apart, though closer than usual."""
    made, at = [], 0
    for word in _LONG_WORD.finditer(text):
        for gap in _gaps(textpage, *word.span()):
            made.append(text[at:gap])
            at = gap
    if not made:
        return text
    return " ".join([*made, text[at:]])


def _gaps(textpage: Any, start: int, end: int) -> Iterator[int]:
    """The places in the text before which there is more room than between the letters around."""
    first = pdfium.FPDFText_GetCharIndexFromTextIndex(textpage, start)
    last = pdfium.FPDFText_GetCharIndexFromTextIndex(textpage, end - 1)
    if first < 0 or last - first != end - 1 - start:
        return
    boxes = [_box(textpage, index) for index in range(first, last + 1)]
    size = pdfium.FPDFText_GetFontSize(textpage, first) or 1.0
    room = [after.left - before.right for before, after in itertools.pairwise(boxes)]
    # Of a font that is drawn larger or smaller than it says, the letters' height tells.
    height = max((box.top - box.bottom for box in boxes), default=size)
    usual = sorted(room)[len(room) // 2]
    least = max(_GAP * max(height, 1e-3), usual + _TIMES_USUAL * abs(usual))
    for offset, wide in enumerate(room):
        if wide > least:
            yield start + offset + 1


def _box(textpage: Any, index: int) -> Any:
    box = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(textpage, index, box)
    return box


def _annotations(page: Any, forms: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    fields: list[str] = []
    notes: list[str] = []
    for index in range(min(_MAX_NOTES, pdfium.FPDFPage_GetAnnotCount(page))):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if kind == pdfium.FPDF_ANNOT_WIDGET and forms is not None:
                fields.append(_field(annotation, forms))
            elif kind not in _NO_NOTES:
                notes.append(_value(partial(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents")))
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return tuple(dict.fromkeys(filter(None, fields))), tuple(dict.fromkeys(filter(None, notes)))


def _field(annotation: Any, forms: Any) -> str:
    """A filled field as `name: value`; empty for one that is not filled, a button or a password."""
    kind = pdfium.FPDFAnnot_GetFormFieldType(forms, annotation)
    if kind not in _TEXT_FIELDS | _MARKED_FIELDS:
        return ""
    if kind in _TEXT_FIELDS and pdfium.FPDFAnnot_GetFormFieldFlags(forms, annotation) & _PASSWORD_FLAG:
        return ""

    def asked(question: Callable[..., int]) -> str:
        return _value(partial(question, forms, annotation))

    name = asked(pdfium.FPDFAnnot_GetFormFieldAlternateName) or asked(pdfium.FPDFAnnot_GetFormFieldName)
    if kind in _MARKED_FIELDS:
        marked = pdfium.FPDFAnnot_IsChecked(forms, annotation)
        value = (asked(pdfium.FPDFAnnot_GetFormFieldExportValue) or "yes") if marked else ""
    else:
        value = asked(pdfium.FPDFAnnot_GetFormFieldValue)
    return f"{name}: {value}" if name and value else value


def _value(ask: Callable[..., int]) -> str:
    """A text that PDFium writes into room that it is given, when it has said how much it needs."""
    size = ask(None, 0)
    if not 2 < size <= _MAX_VALUE_BYTES:
        return ""
    room = (ctypes.c_ushort * (size // 2))()
    ask(room, size)
    return folded(bytes(room).decode("utf-16-le", "replace").rstrip("\0").strip())
