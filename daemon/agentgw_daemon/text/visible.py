"""Text made safe to look at before a decision by the table that the client has as well. Does no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentgw.protocol.visible import escaped


def visible(text: str) -> str:
    r"""The text with every character escaped that is not seen as itself; line ends and tabs stay.

    Long runs of blanks are counted: `\x20{300}`. A backslash is doubled, so that `\x1b` written out and ESC itself look
    different.
    """
    return escaped(text, lines=True, distinct=True)


def visible_line(text: str) -> str:
    """The text as `visible` gives it, on one line."""
    return escaped(text, distinct=True)


def visible_json(value: Mapping[str, Any]) -> str:
    """The exact arguments as JSON on one line, escaped."""
    # JSON's own escapes are ASCII already and must not be escaped twice.
    return escaped(json.dumps(value, ensure_ascii=False))
