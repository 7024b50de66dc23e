"""Declaration of a tool from outside, made fit to be shown to a model and to a user. Does no I/O.

Nothing here trusts its input: names, descriptions and schemas come from programs of others.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final, get_args

from agentgw.protocol.visible import is_seen
from agentgw.tool import Effect
from agentgw_daemon.text.visible import visible_json, visible_line
from agentgw_daemon.tools.tool import Arguments, CallPreview

# The bound that hosted models put on a function's name.
MAX_NAME: Final = 64
# Every description is in every prompt; a thousand characters are some 250 tokens.
MAX_DESCRIPTION: Final = 1000
MAX_REASON: Final = 400

_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
_DIGEST_CHARS: Final = 8


class DeclarationRefused(ValueError):
    """The tool's declaration cannot be used; the message is one line."""


def fit_name(text: str) -> str:
    """The text as a tool's name, `[a-z0-9_]{1,64}`, the same whenever it is asked for.

    Accents go. Letters of other scripts cannot be kept: such a name, and one that is too long, ends in a digest of the
    whole, so that no two of them become one.
    """
    letters = "".join(one for one in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(one))
    made = re.sub(r"[^a-z0-9_]", "_", letters)
    if letters.isascii() and made and len(made) <= MAX_NAME:
        return made
    return with_digest(made if letters.isascii() else re.sub("_+", "_", made).strip("_"), text)


def with_digest(name: str, text: str) -> str:
    """The name, cut where it is too long, told apart from others by a digest of the text that it was made of."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGEST_CHARS]
    return f"{(name or 'u')[: MAX_NAME - _DIGEST_CHARS - 1]}_{digest}"


def checked_name(value: object) -> str:
    """The name, when it is one. Raises DeclarationRefused."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise DeclarationRefused("its name must have 1 to 64 of the characters a-z, 0-9 and _")
    return value


def checked_effect(value: object, default: Effect) -> Effect:
    """The effect that is named, or the default. Raises DeclarationRefused."""
    if value is None:
        return default
    if value not in get_args(Effect):
        raise DeclarationRefused(f"its effect must be one of {', '.join(get_args(Effect))}")
    return value  # type: ignore[return-value]  # one of the literals, as just checked


def is_foreign(effect: Effect, own_output: object) -> bool:
    """Tells whether results may hold text that somebody else wrote: unless nothing is read, or the tool says
    otherwise.
    """
    return effect != "none" and own_output is not True


def plain_text(value: object, most: int = MAX_DESCRIPTION) -> str:
    """Text on one line without characters that are not seen, at most `most` long."""
    if not isinstance(value, str):
        return ""
    # Twice the room: what is thrown away below must not make the rest too short.
    words = "".join(c if is_seen(c) else " " for c in value[: 2 * most]).split()
    made = " ".join(words)
    return made if len(made) <= most else made[: most - 1] + "…"


def preview(title: str, arguments: Arguments) -> CallPreview:
    """The preview for an approval: the title, and the exact arguments."""
    return CallPreview(title=visible_line(title), details=(f"arguments: {visible_json(dict(arguments))}",))
