"""Texts of mail as they were before they were sent: words in headers, and the text of a part. Does no I/O.

Senders announce what they do not do: what cannot be undone as it was announced is read as it stands.
"""

from __future__ import annotations

import binascii
import email.errors
import quopri
import re
from email.message import Message
from typing import Final

from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.encodings.declared import in_page
from agentgw_daemon.workers.retrieval.reading.values import Unreadable

# The library's own on broken headers, and on messages nested a thousand deep.
PARSER_ERRORS: Final = (
    ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError, email.errors.MessageError,
)  # fmt: skip
# RFC 2047; a language may stand behind the charset (RFC 2231).
_WORD: Final = re.compile(r"=\?([^?*\s]{1,80})(?:\*[^?\s]{0,40})?\?([bqBQ])\?([^?]*(?:\?(?!=)[^?]*)*)\?=")
_BETWEEN: Final = re.compile(r"(?<=\?=)\s+(?==\?[^?\s]{1,130}\?[bqBQ]\?)")
_FOLDED: Final = re.compile(r"\r?\n[ \t]*|\r")
_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/]")
# What stands behind text in Base64 is a footer of a mailing list, unless there is more of it.
_MOST_FOOTER: Final = 0.5
# Of the letters of a line in Base64, so many may be broken.
_MOST_BROKEN: Final = 0.05


def decoded_words(value: str) -> str:
    """The text of a header, or of a name in it. Words side by side in one charset may share a letter."""
    if "=?" not in value:
        return clean(value)
    value = _BETWEEN.sub("", _FOLDED.sub(" ", value))
    made: list[str] = []
    waiting, charset, at = b"", "", 0
    for word in _WORD.finditer(value):
        if waiting and (word.start() > at or word[1].lower() != charset):
            made.append(text_of(waiting, charset))
            waiting = b""
        made.append(value[at : word.start()])
        waiting, charset, at = waiting + _bytes_of(word[2], word[3]), word[1].lower(), word.end()
    return clean("".join([*made, text_of(waiting, charset), value[at:]]))


def _bytes_of(kind: str, text: str) -> bytes:
    if kind in "qQ":
        return quopri.decodestring(text.replace("_", " ").encode("utf-8", "surrogateescape"), header=True)
    letters = _NOT_BASE64.sub("", text)
    return _from_base64(letters)


def _from_base64(letters: str) -> bytes:
    """The bytes of as many letters as make some."""
    whole = letters[: len(letters) - (len(letters) % 4 == 1)]
    return binascii.a2b_base64(whole + "=" * (-len(whole) % 4))


def text_of(data: bytes, charset: str) -> str:
    """The text of bytes that are said to be in a charset."""
    try:
        text = decode(data, charset).text
    except Unreadable:
        # Of the text of a message so little is binary that it is damage.
        text = data.decode("latin-1")
    return clean(text.replace("\r\n", "\n"))


def text_in(part: Message) -> str:
    """The text of a part, as it was before it was wrapped for sending."""
    data, rest = bytes_in(part)
    charset = _parameter(part, "charset")
    if not charset and part.get_content_type() == "text/html":
        charset = in_page(data)
    text = text_of(data, charset) + rest
    return _unwrapped(text, _parameter(part, "delsp") == "yes") if _parameter(part, "format") == "flowed" else text


def payload_of(part: Message) -> object:
    """The payload as it stands: a text, or parts."""
    try:
        return part.get_payload()
    except PARSER_ERRORS:
        # The library takes a charset that says its language for a name.
        part.set_param("charset", _parameter(part, "charset") or "utf-8")
        return part.get_payload()


def bytes_in(part: Message) -> tuple[bytes, str]:
    """The bytes of a part, and a text that stands behind what was encoded."""
    raw = payload_of(part)
    if isinstance(raw, list):
        return "\n\n".join(str(one) for one in raw).encode("utf-8", "surrogateescape"), ""
    if isinstance(raw, str) and str(part.get("content-transfer-encoding", "")).strip().lower() == "base64":
        return _of_base64(raw)
    try:
        payload = part.get_payload(decode=True)
    except PARSER_ERRORS:
        payload = None
    return (payload if isinstance(payload, bytes) else str(raw or "").encode("utf-8", "surrogateescape")), ""


def _of_base64(raw: str) -> tuple[bytes, str]:
    """The bytes of Base64 up to the first line that is none; the text itself where most of it is none."""
    at = 0
    for line in raw.splitlines(keepends=True):
        if not _is_base64(line.strip()):
            break
        at += len(line)
    rest = raw[at:]
    if len(rest.strip()) > _MOST_FOOTER * len(raw.strip()):
        return raw.encode("utf-8", "surrogateescape"), ""
    # Each stretch may end with its own signs of being full.
    data = b"".join(_from_base64(_NOT_BASE64.sub("", one)) for one in re.findall(r"[^=]+", raw[:at]))
    return data, clean(f"\n{rest}") if rest.strip() else ""


def _is_base64(line: str) -> bool:
    broken = _NOT_BASE64.findall(line.rstrip("="))
    return len(broken) <= _MOST_BROKEN * len(line) and not any(map(str.isspace, broken))


def _parameter(part: Message, name: str) -> str:
    """A parameter of a part's type, in small letters; empty for none."""
    try:
        value = part.get_param(name, "")
    except PARSER_ERRORS:
        return ""
    # In three parts where it says what it is written in.
    return str(value[-1] if isinstance(value, tuple) else value).lower()


def _unwrapped(text: str, deleted: bool) -> str:
    """Text of RFC 3676: a space at the end of a line says that the line goes on, in a quotation as well."""
    made: list[str] = []
    goes_on, depth = False, 0
    for raw in text.split("\n"):
        quoted = raw.lstrip(">")
        depth, before = len(raw) - len(quoted), depth
        line = quoted.removeprefix(" ")
        joined = goes_on and depth == before and line != "-- "
        if made and not joined:
            made.append("\n")
        if depth and not joined:
            made.append(f"{'>' * depth} ")
        goes_on = line.endswith(" ") and line != "-- "
        made.append(line[:-1] if goes_on and deleted else line)
    return "".join(made)
