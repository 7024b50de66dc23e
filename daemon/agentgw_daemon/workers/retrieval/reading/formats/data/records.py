"""Subtitles (SRT, VTT), calendars (ICS) and cards (VCF): who said what when, below headings. Does no I/O."""

from __future__ import annotations

import html
import quopri
import re
from collections.abc import Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section, TextBuilder, title_of
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.formats.markup.html import write_html
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_TIME: Final = re.compile(r"[ \t]*(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[.,]\d{1,3}[ \t]*-->")
# Sub Station Alpha: layer, times, style, who speaks, margins, effect, and words that may have commas.
_DIALOGUE: Final = re.compile(
    r"Dialogue:[ \t]*[^,\n]{0,40},(\d{1,3}):(\d{1,2}):\d{2}[.:]\d{1,3},[^,\n]{0,40},[^,\n]{0,200},([^,\n]{0,200}),"
    r"(?:[^,\n]{0,200},){4}(.*)"
)
_BREAK: Final = re.compile(r"\\[Nnh]")
_SPEAKER: Final = re.compile(r"<v(?:\.[^\s>]{0,40})?[ \t]+([^<>\n]{1,100})>")
_TAG: Final = re.compile(r"</?[A-Za-z0-9][^<>\n]{0,100}>|\{\\[^{}\n]{0,100}\}")

_LINE: Final = re.compile(
    r"(?:[\w-]{1,60}\.)?([A-Za-z-]{1,60})((?:;[^:;\"]{0,500}(?:\"[^\"]{0,500}\")?)*):(.*)", re.DOTALL
)
# Of a field with its parameters, in which its encoding is looked for.
_MAX_NAME_CHARS: Final = 1000
_ESCAPED: Final = re.compile(r"\\([nN,;\\:])")
_MOMENT: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)?(Z?))?")
_SHOWN: Final = {
    "DTSTART": "Start", "DTEND": "End", "DUE": "Due", "LOCATION": "Location", "ORGANIZER": "Organizer",
    "ATTENDEE": "Attendee", "CATEGORIES": "Categories", "STATUS": "Status", "RRULE": "Repeats", "URL": "URL",
    "DESCRIPTION": "", "COMMENT": "", "NICKNAME": "Nickname", "ORG": "Organisation", "TITLE": "Title",
    "ROLE": "Role", "TEL": "Telephone", "EMAIL": "E-mail", "ADR": "Address", "LABEL": "Address", "BDAY": "Birthday",
    "NOTE": "", "IMPP": "Messages", "ANNIVERSARY": "Anniversary", "RELATED": "Related", "CONTACT": "Contact",
}  # fmt: skip
_MOMENTS: Final = frozenset({"DTSTART", "DTEND", "DUE", "BDAY", "ANNIVERSARY"})
_ENTRIES: Final = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VCARD"})
_NAMES: Final = frozenset({"SUMMARY", "FN"})
# For cards without the one that is meant to be shown.
_OTHER_NAMES: Final = frozenset({"N", "ORG"})
# A line may be broken inside of a letter, and a soft one of quoted-printable is broken otherwise.
_FOLDED: Final = re.compile(rb"(?<!=)\r?\n[ \t]")


def subtitles_section(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """The words that are said, below the minute in which they are."""
    text = _text(data, parser_notes)
    # Of the two kinds with times before the words, the newer one writes some signs as HTML does.
    has_references = text.lstrip("\ufeff").startswith("WEBVTT")
    builder = TextBuilder()
    said: list[str] = []
    minute = ""
    in_cue = is_number = False

    def write() -> None:
        builder.add("prose", "\n".join(dict.fromkeys(said)), outline.path)
        said.clear()

    def begin(hours: str | None, minutes: str) -> None:
        nonlocal minute
        begun = f"{int(hours or 0):02}:{int(minutes):02}"
        if begun != minute:
            write()
            minute = begun
            outline.enter(1, begun)

    for line in text.split("\n"):
        if (time := _TIME.match(line)) is not None:
            in_cue = True
            if is_number:
                said.pop()
            begin(time[1], time[2])
        elif (spoken := _DIALOGUE.match(line)) is not None:
            begin(spoken[1], spoken[2])
            shown = _TAG.sub("", _BREAK.sub(" ", spoken[4])).strip()
            said.append(f"{spoken[3].strip()}: {shown}" if spoken[3].strip() else shown)
        elif not line.strip():
            # In the older kind a text may have blank lines; in the newer one notes and styles follow them.
            in_cue = in_cue and not has_references
        elif in_cue and (shown := _TAG.sub("", _SPEAKER.sub(r"\1: ", line)).strip()):
            said.append(html.unescape(shown) if has_references else shown)
        # Of a text's number one knows only then.
        is_number = in_cue and bool(said) and line.strip().isdigit() and said[-1] == line.strip()
    write()
    if "-->" not in text and not minute:
        # Another kind of file under this name.
        builder.add("lines", text, outline.path)
    yield builder.take()


def entries_section(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """Events and tasks of a calendar, or cards, each below its name."""
    builder = TextBuilder()
    unfolded = _FOLDED.sub(b"", data) if b"\0" not in data else data
    text = _text(unfolded, parser_notes)
    if "BEGIN:" not in text.upper():
        # Another kind of file under this name.
        builder.add("lines", text, outline.path)
    entry, depth = _Entry(), 0
    for field, parameters, value in _fields(text):
        if field == "BEGIN":
            begins = value.upper() in _ENTRIES
            if begins and depth:
                # The end of the one before is missing.
                entry.write(builder, outline)
                depth = 0
            depth = depth + 1 if depth else int(begins)
            if depth == 1:
                entry = _Entry()
        elif field == "END" and depth:
            depth -= 1
            if not depth:
                entry.write(builder, outline)
        elif depth == 1:
            entry.take(field, parameters, value)
        elif not depth and field in ("X-WR-CALNAME", "NAME") and not parser_notes.title:
            parser_notes.title = title_of(value)
            outline.restart(value)
    if depth:
        entry.write(builder, outline)
    parser_notes.title = parser_notes.title or (outline.first if len(outline.path) == 1 else "")
    yield builder.take()


class _Entry:
    """An event, a task or a card: its name and its lines."""

    def __init__(self) -> None:
        self._name = ""
        self._other = ""  # for one without the name that is meant to be shown
        self._lines: list[str] = []
        self._page = ""
        self._described = False

    def take(self, field: str, parameters: str, value: str) -> None:
        """Takes a field."""
        if field in _NAMES:
            self._name = value
        elif field in _OTHER_NAMES:
            # Family name before given ones; of an organisation, its parts.
            first, *others = value.split(";")
            words = (*others[:2], first) if field == "N" else (first, *others)
            self._other = self._other or " ".join(word.strip() for word in words if word.strip())
        elif field == "X-ALT-DESC":
            self._page = value
        self._described = self._described or (field == "DESCRIPTION" and not value.isspace())
        if field in _SHOWN and value.strip(" ;"):
            label = _SHOWN[field]
            shown = _moment(value) if field in _MOMENTS else _parts(field, parameters, value)
            self._lines.append(f"{label}: {shown}" if label else shown)

    def write(self, builder: TextBuilder, outline: Outline) -> None:
        """Adds what was taken."""
        name = self._name or self._other
        path = outline.enter(1, name)
        builder.add("heading", name, path)
        builder.add("lines", "\n".join(self._lines), path)
        if self._page and not self._described:
            write_html(self._page, builder, Outline(*path))


def _text(data: bytes, parser_notes: ParserNotes) -> str:
    page = decode(data)
    if page.note:
        parser_notes.notes.append(page.note)
    return clean(page.text.replace("\r\n", "\n").replace("\r", "\n"))


def _fields(text: str) -> Iterator[tuple[str, str, str]]:
    """Name, parameters and value of each field, its lines joined."""
    for line in _unfolded(text):
        if (found := _LINE.fullmatch(line)) is None:
            continue
        field, parameters, value = found[1].upper(), found[2].upper(), found[3]
        if "QUOTED-PRINTABLE" in parameters:
            charset = re.search(r"CHARSET=([\w-]{1,40})", parameters)
            value = _decoded(quopri.decodestring(value.encode()), charset[1] if charset is not None else "")
        if "ENCODING=B" not in parameters:
            yield field, found[2], _ESCAPED.sub(lambda one: "\n" if one[1] in "nN" else one[1], value)


def _unfolded(text: str) -> Iterator[str]:
    parts: list[str] = []
    for line in text.split("\n"):
        soft = bool(parts) and parts[-1].endswith("=") and "QUOTED-PRINTABLE" in parts[0][:_MAX_NAME_CHARS].upper()
        if line[:1] in (" ", "\t") and parts:
            parts.append(line[1:])
        elif soft:
            parts[-1] = parts[-1][:-1]
            parts.append(line)
        else:
            if parts:
                yield "".join(parts)
            parts = [line]
    if parts:
        yield "".join(parts)


def _decoded(value: bytes, charset: str) -> str:
    try:
        return clean(decode(value, charset).text)
    except Unreadable:
        # One field of binary data is no reason to leave out the others.
        return ""


def _moment(value: str) -> str:
    found = _MOMENT.fullmatch(value.strip())
    if found is None:
        return value
    day = f"{found[1]}-{found[2]}-{found[3]}"
    return f"{day} {found[4]}:{found[5]}{' UTC' if found[7] else ''}" if found[4] else day


def _parts(field: str, parameters: str, value: str) -> str:
    if field in ("ORGANIZER", "ATTENDEE"):
        named = re.search(r"CN=\"?([^;:\"]{1,200})", parameters, re.IGNORECASE)
        address = re.sub(r"(?i)^mailto:", "", value)
        return f"{named[1]} <{address}>" if named is not None else address
    if field in ("ADR", "ORG"):
        return ", ".join(part.strip() for part in value.split(";") if part.strip())
    return value
