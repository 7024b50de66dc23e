"""The question about a record: a template with places for the record or its fields. Pure.

`{}` is the record as it is in the input, `{name}` a field of it, `{{` and `}}` are braces. A template without a place
has the record after a blank line, as `run` has what is piped into it.
"""

from __future__ import annotations

import json

from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

_BRACES: Final = "write {{ and }} for braces that are text"


class MissingField(Exception):
    """The record has no field of this name."""


class Template:
    """A template that was read. `names` are the fields it wants."""

    def __init__(self, text: str, *, fields: bool) -> None:
        """Raises UsageError where a brace has no partner, or a field is named where records have none."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError("the template is not UTF-8 text", hint="convert it first") from None
        # Texts and places by turns; a place is the name of a field, or empty for the whole record.
        self._texts, self._places = _parts(text)
        self.names: Final = tuple(dict.fromkeys(name for name in self._places if name))
        if self.names and not fields:
            raise UsageError(
                f"the template names the field {{{self.names[0]}}}, and lines have no fields",
                hint=f"add --csv or --jsonl, or {_BRACES}",
            )
        if not self._places:
            self._texts, self._places = [f"{self._texts[0]}\n\n", ""], [""]

    def fill(self, record: str, fields: Mapping[str, Any] | None = None) -> str:
        """The question about this record. Raises MissingField."""
        made = [self._texts[0]]
        for place, text in zip(self._places, self._texts[1:], strict=True):
            made += (record if not place else _value(place, fields), text)
        return "".join(made)


def _value(name: str, fields: Mapping[str, Any] | None) -> str:
    if fields is None or name not in fields:
        raise MissingField(name)
    value = fields[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parts(text: str) -> tuple[list[str], list[str]]:
    texts, places, at = [""], [], 0
    while at < len(text):
        one = text[at]
        if one not in "{}":
            end = min((found for brace in "{}" if (found := text.find(brace, at)) >= 0), default=len(text))
            texts[-1] += text[at:end]
            at = end
        elif text[at : at + 2] == one * 2:
            texts[-1] += one
            at += 2
        else:
            end = text.find("}", at)
            name = text[at + 1 : end]
            if one == "}" or end < 0 or "{" in name:
                raise UsageError(f"the template has a {one} without its partner (character {at + 1})", hint=_BRACES)
            places.append(name)
            texts.append("")
            at = end + 1
    return texts, places
