"""E-mail: single messages and mbox files. All text in its order, headers, and the names of attachments.

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
_MAX_DEPTH: Final = 20
# The library's own on broken headers, and on messages nested a thousand deep.
_PARSER_ERRORS: Final = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError)
# An mbox file puts such a line before each message: who, a date, and headers below. Writers put ">" before text that
# looks like one.
_FROM_LINE: Final = re.compile(
    rb"^From (?=[^\n]{0,300}(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|\d{4}-\d\d-)[^\n]{0,20}\d\d:\d\d)"
    rb"[^\n]{0,400}(?:\n(?=\s|>?From |[!-9;-~]{1,80}:)|\n?\Z)",
    re.MULTILINE,
)
_SAVED_FROM: Final = re.compile(rb"^>(>*From )", re.MULTILINE)
# Shorter plain text beside a page of so many times its length says no more than where the page is.
_STUB_CHARS: Final = 300
_STUB_TIMES: Final = 4
_OUTLOOK: Final = ("application/ms-tnef", "application/vnd.ms-tnef")


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
        _write(_SAVED_FROM.sub(rb"\1", data[line.end() : end]), builder, outline, findings)
        yield builder.take()


def _write(data: bytes, builder: TextBuilder, outline: Outline, findings: Findings) -> str:
    """Adds the blocks of a message; its subject."""
    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
    except _PARSER_ERRORS as error:
        findings.notes.append(f"a broken message is read as it stands ({type(error).__name__})")
        builder.add("prose", _text_of(data, ""), outline.path)
        return ""
    return _Writer(builder, outline, findings).message(message, 1)


class _Writer:
    """Writes a message: part after part."""

    def __init__(self, builder: TextBuilder, outline: Outline, findings: Findings) -> None:
        self._builder: Final = builder
        self._outline: Final = outline
        self._findings: Final = findings
        self._parts = 0

    def message(self, message: Message, level: int) -> str:
        """Headers, texts, and names of what else there is; the subject."""
        subject = _header(message, "Subject")
        path = self._outline.enter(level, subject)
        shown = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
        self._builder.add("heading", "\n".join(shown), path)
        attachments: list[str] = []
        self._part(message, level, attachments)
        if attachments:
            self._builder.add("lines", "\n".join(f"Attachment: {name}" for name in attachments), path)
        return subject

    def _part(self, part: Message, level: int, attachments: list[str]) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            return
        kind = part.get_content_type()
        inner = part.get_payload()
        children = [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []
        if level > _MAX_DEPTH and children:
            attachments.append(f"{kind}, nested too deeply")
        elif kind == "message/rfc822" and children:
            path = self._outline.path
            for child in children:
                self.message(child, level + 1)
            self._outline.restart(*path)
        elif kind == "multipart/alternative" and children:
            self._alternative(children, level + 1, attachments)
        elif children and kind != "message/delivery-status":
            for child in children:
                self._part(child, level + (kind.startswith("multipart/") and level > 1), attachments)
        elif kind.startswith("multipart/") and not _text_in(part).strip():
            attachments.append(kind)
        elif kind.startswith(("text/", "multipart/")) or kind == "message/delivery-status":
            # A multipart without parts lacks its boundary: it is text, as far as it goes.
            if part.get_content_disposition() == "attachment":
                self._builder.add("lines", f"Attachment: {_attachment(part, kind)}", self._outline.path)
            self._text(part)
        else:
            attachments.append(_attachment(part, kind))
            if kind in _OUTLOOK:
                self._findings.notes.append("an attachment in Outlook's own format (winmail.dat) is not read")

    def _alternative(self, children: list[Message], level: int, attachments: list[str]) -> None:
        """The plain text, or the page if that says much more, or else whatever has parts."""
        by_type = {child.get_content_type(): child for child in reversed(children)}
        plain, page = by_type.get("text/plain"), by_type.get("text/html")
        others = [child for child in children if child not in (plain, page) and child.is_multipart()]
        if page is None:
            page = next(
                (one for child in others for one in child.walk() if one.get_content_type() == "text/html"), None
            )
        if plain is not None and (page is None or not _is_stub(plain, page)):
            self._part(plain, level, attachments)
        elif page is not None:
            self._part(page, level, attachments)
        else:
            for child in others or children[:1]:
                self._part(child, level, attachments)

    def _text(self, part: Message) -> None:
        text, path = _text_in(part), self._outline.path
        if part.get_content_type() == "text/html":
            write_html(text, self._builder, Outline(*path))
            return
        for block in plain_blocks(text, Outline(*path)):
            self._builder.add("prose", text[block.start : block.end], path)


def _is_stub(plain: Message, page: Message) -> bool:
    short = _text_in(plain).strip()
    if len(short) > _STUB_CHARS:
        return False
    builder = TextBuilder()
    write_html(_text_in(page), builder, Outline())
    return len(builder.take().text.text) > _STUB_TIMES * len(short)


def _text_in(part: Message) -> str:
    """The text of a part, as it was before it was wrapped for sending."""
    try:
        payload = part.get_payload(decode=True)
        charset = str(part.get_param("charset", "") or "")
        flowed = str(part.get_param("format", "")).lower() == "flowed"
        deleted = str(part.get_param("delsp", "")).lower() == "yes"
    except _PARSER_ERRORS:
        payload, charset, flowed, deleted = None, "", False, False
    if not isinstance(payload, bytes):
        raw = part.get_payload()
        if isinstance(raw, list):
            return "\n\n".join(str(one) for one in raw)
        payload = str(raw or "").encode("utf-8", "surrogateescape")
    text = _text_of(payload, charset)
    return _unwrapped(text, deleted) if flowed else text


def _text_of(data: bytes, charset: str) -> str:
    try:
        text = decode(data, charset).text
    except Unreadable:
        # Of the text of a message so little is binary that it is damage.
        text = data.decode("latin-1")
    return clean(text.replace("\r\n", "\n"))


def _unwrapped(text: str, deleted: bool) -> str:
    """Text of RFC 3676: a space at the end of a line says that the line goes on."""
    made: list[str] = []
    goes_on = False
    for raw in text.split("\n"):
        line = raw.removeprefix(" ")
        if made and not (goes_on and not line.startswith(">") and line != "-- "):
            made.append("\n")
        goes_on = line.endswith(" ") and line != "-- "
        made.append(line[:-1] if goes_on and deleted else line)
    return "".join(made)


def _attachment(part: Message, kind: str) -> str:
    try:
        name = part.get_filename()
    except _PARSER_ERRORS:
        name = None
    shown = title_of(_decoded(name[:_MAX_HEADER_CHARS])) if isinstance(name, str) else ""
    return f"{shown} ({kind})" if shown else kind


def _header(message: Message, name: str) -> str:
    """The first header of this name: with words encoded by RFC 2047, or bytes as they stand (RFC 6532, and worse)."""
    raw = next((str(value) for header, value in message.raw_items() if header.lower() == name.lower()), "")
    raw = raw[:_MAX_HEADER_CHARS]
    if not raw.isascii():
        raw = _text_of(raw.encode("utf-8", "surrogateescape"), "")
    return " ".join(_decoded(raw).split())


def _decoded(value: str) -> str:
    """The text that RFC 2047 has encoded."""
    if "=?" not in value:
        return clean(value)
    try:
        return clean(str(email.header.make_header(email.header.decode_header(value))))
    except (*_PARSER_ERRORS, email.errors.MessageError):
        return clean(value)
