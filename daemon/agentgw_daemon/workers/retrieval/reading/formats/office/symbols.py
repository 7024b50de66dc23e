"""Letters and signs of the font Symbol, which has no code page: documents give their places in it. Pure."""

from __future__ import annotations

from typing import Final

# Office puts the font's places where Unicode has none of its own.
_PRIVATE: Final = 0xF000
# From 0x21 on, as Adobe's encoding of the font has them; what has no letter in Unicode is a space.
_FIRST: Final = 0x21
_LOWER: Final = "!∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_ αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
_UPPER_FIRST: Final = 0xA0
_UPPER: Final = "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑"


def symbol_at(place: int) -> str:
    """The sign at a place of the font; a space where it has none."""
    place = place - _PRIVATE if place >= _PRIVATE else place
    for first, signs in ((_FIRST, _LOWER), (_UPPER_FIRST, _UPPER)):
        if first <= place < first + len(signs):
            return signs[place - first]
    return " "
