"""E-mail: single messages and mbox files. All text in its order, headers, and the names of attachments.

The older of the standard library's two policies is used: the newer one raises all kinds of errors on broken headers.
Does no I/O.
"""

from __future__ import annotations

import codecs
import email
import email.policy
import re
from collections.abc import Iterator
from email.message import Message
from itertools import islice
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section, TextBuilder, title_of
from agentgw_daemon.workers.retrieval.reading.encodings.visual import in_order, is_visual
from agentgw_daemon.workers.retrieval.reading.formats.data.records import entries_section
from agentgw_daemon.workers.retrieval.reading.formats.mails.texts import (
    PARSER_ERRORS,
    bytes_in,
    decoded_words,
    payload_of,
    text_in,
    text_of,
)
from agentgw_daemon.workers.retrieval.reading.formats.markup.html import write_html
from agentgw_daemon.workers.retrieval.reading.formats.office.rich_text import rich_text_sections
from agentgw_daemon.workers.retrieval.reading.formats.plain import plain_blocks
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_SHOWN: Final = ("From", "To", "Cc", "Date", "Subject")
_MAX_HEADER_CHARS: Final = 1000
_MAX_PARTS: Final = 1000
_MAX_DEPTH: Final = 20
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
_ENTRIES: Final = frozenset({"text/calendar", "text/x-vcalendar", "text/vcard", "text/x-vcard", "text/directory"})
_RICH: Final = frozenset({"text/rtf", "text/richtext"})
# Parts of a page that was saved with all that it shows.
_OF_PAGES: Final = frozenset({"text/css", "text/javascript"})
# A message of Apple Mail stands behind its length, and before a list of what the program keeps for itself.
_COUNTED: Final = re.compile(rb"(\d{1,9})[ \t]{0,20}\r?\n(?=[!-9;-~]{1,80}:)")
# Parts that hold a text which stays unread.
_IN_OUTLOOKS_FORM: Final = "an attachment in Outlook's own format (winmail.dat) is not read"
_IN_S_MIME: Final = "a text that S/MIME encrypts or encloses is not read"
_UNREAD: Final = {
    "application/ms-tnef": _IN_OUTLOOKS_FORM, "application/vnd.ms-tnef": _IN_OUTLOOKS_FORM,
    "application/pkcs7-mime": _IN_S_MIME, "application/x-pkcs7-mime": _IN_S_MIME,
    "application/pgp-encrypted": "a text that PGP encrypts is not read",
}  # fmt: skip


def message_sections(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """One message."""
    builder = TextBuilder()
    data = data.removeprefix(codecs.BOM_UTF8)
    if (counted := _COUNTED.match(data)) is not None:
        data = data[counted.end() : counted.end() + int(counted[1])]
    parser_notes.title = _write(data, builder, outline, parser_notes)
    yield builder.take()


def mailbox_sections(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """One section a message."""
    data = data.removeprefix(codecs.BOM_UTF8)
    found = list(_FROM_LINE.finditer(data))
    if not found and data.strip():
        raise Unreadable("is no mailbox: no message begins in it")
    if found and (before := data[: found[0].start()].strip()):
        builder = TextBuilder()
        _write(before, builder, outline, parser_notes)
        yield builder.take()
    for number, line in enumerate(found):
        builder = TextBuilder()
        end = found[number + 1].start() if number + 1 < len(found) else len(data)
        outline.restart()
        _write(_SAVED_FROM.sub(rb"\1", data[line.end() : end]), builder, outline, parser_notes)
        yield builder.take()


def _write(data: bytes, builder: TextBuilder, outline: Outline, parser_notes: ParserNotes) -> str:
    """Adds the blocks of a message; its subject."""
    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
    except PARSER_ERRORS as error:
        parser_notes.notes.append(f"a broken message is read as it stands ({type(error).__name__})")
        builder.add("prose", text_of(data, ""), outline.path)
        return ""
    return _Writer(builder, outline, parser_notes).message(message, 1)


class _Writer:
    """Writes a message: part after part."""

    def __init__(self, builder: TextBuilder, outline: Outline, parser_notes: ParserNotes) -> None:
        self._builder: Final = builder
        self._outline: Final = outline
        self._findings: Final = parser_notes
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
        inner = payload_of(part)
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
        elif kind.startswith("multipart/") and not text_in(part).strip():
            attachments.append(kind)
        elif kind in _OF_PAGES and part.get_content_disposition() != "attachment":
            return
        elif kind.startswith(("text/", "multipart/")) or kind == "message/delivery-status":
            # A multipart without parts lacks its boundary: it is text, as far as it goes.
            if part.get_content_disposition() == "attachment":
                self._builder.add("lines", f"Attachment: {_attachment(part, kind)}", self._outline.path)
            self._text(part)
        else:
            attachments.append(_attachment(part, kind))
            note = _UNREAD.get(kind)
            if note is not None and note not in self._findings.notes:
                self._findings.notes.append(note)

    def _alternative(self, children: list[Message], level: int, attachments: list[str]) -> None:
        """The plain text, or the page if that says much more, or else whatever has parts."""
        by_type = {child.get_content_type(): child for child in reversed(children)}
        plain, page = by_type.get("text/plain"), by_type.get("text/html")
        others = [child for child in children if child not in (plain, page) and child.is_multipart()]
        if page is None:
            page = next(
                (one for child in others for one in child.walk() if one.get_content_type() == "text/html"), None
            )
        entries = [child for child in children if child.get_content_type() in _ENTRIES]
        if plain is not None and (page is None or not _is_stub(plain, page)):
            self._part(plain, level, attachments)
        elif page is not None:
            self._part(page, level, attachments)
        else:
            others = others or children[:1]
            for child in others:
                self._part(child, level, attachments)
            entries = [child for child in entries if child not in others]
            others = []
        # Some programs attach files to one of the forms.
        attached = (one for child in others for one in child.walk() if _is_attached(one))
        for one in (*entries, *islice(attached, _MAX_PARTS)):
            self._part(one, level, attachments)

    def _text(self, part: Message) -> None:
        text, path, kind = text_in(part), self._outline.path, part.get_content_type()
        if kind == "text/html":
            write_html(text, self._builder, Outline(*path))
            return
        if kind in _ENTRIES or (kind in _RICH and text.startswith("{\\rtf")):
            # A text in a text: its title is not the message's.
            read, data = (
                (entries_section, text.encode()) if kind in _ENTRIES else (rich_text_sections, bytes_in(part)[0])
            )
            for section in read(data, ParserNotes(), Outline(*path)):
                for one in section.blocks:
                    self._builder.add(one.kind, section.text.text[one.start : one.end], one.path)
            return
        text = in_order(text) if is_visual(text) else text
        for block in plain_blocks(text, Outline(*path)):
            self._builder.add("prose", text[block.start : block.end], path)


def _is_attached(part: Message) -> bool:
    disposition = part.get_content_disposition()
    return disposition == "attachment" or (disposition is None and part.get_content_maintype() == "application")


def _is_stub(plain: Message, page: Message) -> bool:
    short = text_in(plain).strip()
    if len(short) > _STUB_CHARS:
        return False
    builder = TextBuilder()
    write_html(text_in(page), builder, Outline())
    return len(builder.take().text.text) > _STUB_TIMES * len(short)


def _attachment(part: Message, kind: str) -> str:
    try:
        name = part.get_filename()
    except PARSER_ERRORS:
        name = None
    shown = title_of(decoded_words(name[:_MAX_HEADER_CHARS])) if isinstance(name, str) else ""
    return f"{shown} ({kind})" if shown else kind


def _header(message: Message, name: str) -> str:
    """The first header of this name: with words encoded by RFC 2047, or bytes as they stand (RFC 6532, and worse)."""
    raw = next((str(value) for header, value in message.raw_items() if header.lower() == name.lower()), "")
    if len(raw) > _MAX_HEADER_CHARS:
        # A word that is encoded has no space, and half of one says nothing.
        raw = raw[:_MAX_HEADER_CHARS].rpartition(" ")[0] or raw[:_MAX_HEADER_CHARS]
    if not raw.isascii():
        raw = text_of(raw.encode("utf-8", "surrogateescape"), "")
    return " ".join(decoded_words(raw).split())
