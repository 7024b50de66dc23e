"""Matches in what a search gives, which stand between « and », as HTML. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from markupsafe import Markup

_MATCH: Final = re.compile(r"«([^«»]*)»")


def marked(snippet: str) -> Markup:
    """A snippet with its matches as marks, all else escaped."""
    from markupsafe import Markup, escape

    made, at = Markup(), 0
    for match in _MATCH.finditer(snippet):
        made += escape(snippet[at : match.start()]) + Markup("<mark>") + escape(match[1]) + Markup("</mark>")
        at = match.end()
    return made + escape(snippet[at:])
