"""E-mail: single messages and mbox files. Their text, what they say of themselves, and the names of attachments.

The older of the standard library's two policies is used: the newer one raises all kinds of errors on broken headers.
Does no I/O.
"""

from __future__ import annotations

import email
import email.errors
import email.header
import email.policy
import re
from collections.abc import Iterator
from email.message import Message
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section, TextBuilder, title_of
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.formats.html import write_html
from agentgw_daemon.workers.retrieval.reading.formats.plain import plain_blocks
from agentgw_daemon.workers.retrieval.reading.values import Findings, Unreadable

_SHOWN: Final = ("From", "To", "Cc", "Date", "Subject")
_MAX_HEADER_CHARS: Final = 1000
_MAX_PARTS: Final = 1000
# An mbox file puts such a line before each message, and writers put ">" before text that looks like one.
_FROM_LINE: Final = re.compile(rb"^From [^\n]{0,300}\d\d:\d\d[^\n]{0,80}(?:\n|\Z)", re.MULTILINE)


def message_sections(data: bytes, findings: Findings, outline: Outline) -> Iterator[Section]:
    """One message."""
    builder = TextBuilder()
    findings.title = _write(data, builder, outline, findings)
    yield builder.take()


def mailbox_sections(data: bytes, findings: Findings, outline: Outline) -> Iterator[Section]:
    """One section a message."""
    found = list(_FROM_LINE.finditer(data))
    if not found:
        raise Unreadable("is no mailbox: no message begins in it")
    for number, line in enumerate(found):
        builder = TextBuilder()
        end = found[number + 1].start() if number + 1 < len(found) else len(data)
        outline.restart()
        _write(data[line.end() : end], builder, outline, findings)
        yield builder.take()


def _write(data: bytes, builder: TextBuilder, outline: Outline, findings: Findings) -> str:
    """Adds the blocks of a message; its subject."""
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    subject = _header(message, "Subject")
    path = outline.enter(1, subject)
    shown = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    builder.add("heading", "\n".join(shown), path)
    parts, attachments = _parts(message)
    if (text := _preferred(parts)) is not None:
        _write_text(text, builder, outline)
    if attachments:
        builder.add("lines", "\n".join(f"Attachment: {name}" for name in attachments), path)
    return subject


def _write_text(part: Message, builder: TextBuilder, outline: Outline) -> None:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return
    try:
        text = decode(payload, part.get_content_charset("")).text
    except Unreadable:
        # Of the text of a message so little is binary that it is damage.
        text = payload.decode("latin-1")
    if part.get_content_type() == "text/html":
        write_html(text, builder, Outline(*outline.path))
        return
    text = clean(text.replace("\r\n", "\n"))
    for block in plain_blocks(text, Outline(*outline.path)):
        builder.add("prose", text[block.start : block.end], outline.path)


def _preferred(parts: list[Message]) -> Message | None:
    """Plain text, or else HTML."""
    by_type = {part.get_content_type(): part for part in reversed(parts)}
    return by_type.get("text/plain") or by_type.get("text/html") or (parts[0] if parts else None)


def _parts(message: Message) -> tuple[list[Message], list[str]]:
    """The parts with text, and the names of the others."""
    texts: list[Message] = []
    attachments: list[str] = []
    waiting, seen = [message], 0
    while waiting and seen < _MAX_PARTS:
        part = waiting.pop()
        seen += 1
        kind = part.get_content_type()
        if part.is_multipart() and kind != "message/rfc822":
            inner = part.get_payload()
            waiting += [one for one in reversed(inner) if isinstance(one, Message)] if isinstance(inner, list) else []
        elif kind == "message/rfc822" or not kind.startswith("text/") or part.get_content_disposition() == "attachment":
            attachments.append(_attachment(part, kind))
        else:
            texts.append(part)
    return texts, attachments


def _attachment(part: Message, kind: str) -> str:
    name = part.get_filename()
    shown = title_of(_decoded(name)) if isinstance(name, str) else ""
    return f"{shown} ({kind})" if shown else kind


def _header(message: Message, name: str) -> str:
    value = message.get(name)
    return "" if value is None else " ".join(_decoded(str(value)[:_MAX_HEADER_CHARS]).split())


def _decoded(value: str) -> str:
    """The text that RFC 2047 has encoded."""
    try:
        return clean(str(email.header.make_header(email.header.decode_header(value))))
    except (LookupError, ValueError, email.errors.MessageError):
        return clean(value)
