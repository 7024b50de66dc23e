"""`read`: from a source to a document and its chunks. The one place where a document's parser may fail as it likes."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from agentgw_daemon.workers.protocol.retrieval import DocumentChunk
from agentgw_daemon.workers.retrieval.reading.blocks import Block, Outline, Section
from agentgw_daemon.workers.retrieval.reading.chunking.chunks import cut
from agentgw_daemon.workers.retrieval.reading.decoding import DecodedText, decode
from agentgw_daemon.workers.retrieval.reading.detection.encoded import LeftOut, refuse_packed, without_encoded
from agentgw_daemon.workers.retrieval.reading.detection.format import format_of
from agentgw_daemon.workers.retrieval.reading.detection.noise import refuse_noise
from agentgw_daemon.workers.retrieval.reading.encodings.declared import in_text
from agentgw_daemon.workers.retrieval.reading.encodings.visual import in_order, is_visual
from agentgw_daemon.workers.retrieval.reading.files import opening
from agentgw_daemon.workers.retrieval.reading.files.packed import unpacked
from agentgw_daemon.workers.retrieval.reading.values import (
    MIN_CHUNK_TOKENS,
    CountTokens,
    DocumentSource,
    OpenedDocument,
    ParserNotes,
    ReadingLimits,
    UnchangedBytes,
    Unreadable,
)

T = TypeVar("T")

_Blocks = Callable[[str, Outline], Iterator[Block]]
_Sections = Callable[[bytes, ParserNotes, Outline], Iterator[Section]]
# Text to embed for half an hour; only formats that carry pictures too are larger.
_MAX_TEXT_BYTES: Final = 64 << 20
# Formats whose text is not the file's own.
_EXTRACTED_NAMES: Final = """
    pdf docx pptx xlsx odt ods odp rtf epub html email mailbox notebook xml json escaped man subtitles entries
"""
EXTRACTED: Final = frozenset(_EXTRACTED_NAMES.split())
# Of these the largest are as large as their text.
_ALL_TEXT: Final = frozenset({"xml", "json", "escaped", "man", "subtitles", "entries"})
# Texts that are titled by their first heading.
_TITLED_NAMES: Final = """
    markdown restructuredtext text org asciidoc latex typst textile wikitext pod texinfo
"""
_TITLED: Final = frozenset(_TITLED_NAMES.split())
# Markup in which letters may be written as in HTML.
_REFERRING: Final = frozenset({"markdown", "textile", "wikitext", "asciidoc"})
# The bytes of a file in which nothing is written.
_BLANK: Final = b" \t\r\n\f\v\0\xef\xbb\xbf\xfe\xff"
_NOTHING: Final = {
    "html": "has no text: what it shows is made by scripts or is in pictures",
    "xml": "has no text, only numbers or drawings",
    "notebook": "has no text: all of its cells are empty",
    **dict.fromkeys(("docx", "pptx", "odt", "odp", "epub", "rtf"), "has no text, perhaps only pictures"),
    **dict.fromkeys(("xlsx", "ods"), "has no text: its sheets are empty"),
}


def read(source: DocumentSource, limits: ReadingLimits, count_tokens: CountTokens) -> OpenedDocument | UnchangedBytes:
    """The document; its pieces are made while they are taken. Raises Unreadable, also from the pieces.

    `count_tokens` is called with some hundred texts at a time, none longer than `CHARS_PER_TOKEN` times a chunk.
    """
    if limits.chunk_tokens < MIN_CHUNK_TOKENS:
        raise ValueError(f"chunks of {limits.chunk_tokens} tokens are too small")
    contents = _contents(source, limits.max_bytes)
    if contents.sha256 == source.known_sha256:
        return UnchangedBytes(sha256=contents.sha256, size_bytes=len(contents.data), mtime_ns=contents.mtime_ns)
    name = source.name or os.path.basename(source.path)
    inside = unpacked(contents.data, name)
    data, inner_name = inside if inside is not None else (contents.data, name)
    found = format_of(inner_name, data)
    if (found not in EXTRACTED or found in _ALL_TEXT) and len(data) > _MAX_TEXT_BYTES:
        raise Unreadable(opening.too_large(len(data), _MAX_TEXT_BYTES))
    parser_notes, left = ParserNotes(), LeftOut()
    sections = _sections(found, data, inner_name, parser_notes, left)
    return OpenedDocument(
        format=found,
        name=name,
        sha256=contents.sha256,
        size_bytes=len(contents.data),
        mtime_ns=contents.mtime_ns,
        extracted=found in EXTRACTED or inside is not None,
        pieces=_some(cut(sections, limits, count_tokens), found, data, left),
        parser_notes=parser_notes,
    )


def _contents(source: DocumentSource, max_bytes: int) -> opening.FileContents:
    if source.text is None:
        return opening.read_file(source.path, max_bytes)
    data = source.text.encode("utf-8", "surrogatepass")
    if len(data) > max_bytes:
        raise Unreadable(opening.too_large(len(data), max_bytes))
    return opening.FileContents(data=data, sha256=hashlib.sha256(data).hexdigest(), mtime_ns=0)


def _sections(found: str, data: bytes, name: str, parser_notes: ParserNotes, left: LeftOut) -> Iterator[Section]:
    """The document's text and blocks. Raises Unreadable, and nothing else."""
    if found in EXTRACTED:
        sections = _extractor(found)(data, parser_notes, Outline())
    else:
        sections = _text_section(found, data, name, parser_notes)
    for section in _guarded(found, sections):
        yield Section(section.text, without_encoded(section.text.text, _guarded(found, section.blocks), left))
    if note := left.note():
        parser_notes.notes.append(note)


def _some(pieces: Iterator[DocumentChunk], found: str, data: bytes, left: LeftOut) -> Iterator[DocumentChunk]:
    """The pieces. Raises Unreadable when there are none although something is written in the file."""
    any_piece = False
    for piece in pieces:
        any_piece = True
        yield piece
    if any_piece:
        return
    if left.stretches:
        raise Unreadable("has no text, only encoded data")
    # A text without pieces is blank, in whatever characters.
    if found in EXTRACTED and data.strip(_BLANK):
        raise Unreadable(_NOTHING.get(found, "has no text"))


def _guarded(found: str, parser: Iterable[T]) -> Iterator[T]:
    """The values that a parser gives. A broken document can make it raise anything; that becomes Unreadable."""
    try:
        yield from parser
    except Unreadable:
        raise
    except MemoryError as error:
        raise Unreadable("takes too much memory to read") from error
    except RecursionError as error:
        raise Unreadable("is nested too deeply") from error
    except Exception as error:  # the supervision point of the parsers
        traceback.print_exc(file=sys.stderr)
        raise Unreadable(f"cannot be read as {found}: its parser failed ({type(error).__name__})") from error


def _text_section(found: str, data: bytes, name: str, parser_notes: ParserNotes) -> Iterator[Section]:
    refuse_noise(data)
    text = _shown(decode(data, in_text(data)), found, name.lower())
    refuse_packed(name.lower(), text.text)
    if text.note:
        parser_notes.notes.append(text.note)
    # The work of a function depends on the file it is in; a text says itself what it is about.
    outline = Outline(name) if found in ("python", "code") else Outline()
    if found == "markdown":
        from agentgw_daemon.workers.retrieval.reading.formats.markup.markdown import front_matter_title

        parser_notes.title = front_matter_title(text.text)
    elif found == "org":
        from agentgw_daemon.workers.retrieval.reading.formats.markup.light import org_title

        parser_notes.title = org_title(text.text)
    elif found == "text":
        from agentgw_daemon.workers.retrieval.reading.formats.markup.man import shown_title

        parser_notes.title = shown_title(text.text)
    outline.restart(*outline.path, parser_notes.title)
    yield Section(text, _block_parser(found)(text.text, outline))
    if found in _TITLED:
        parser_notes.title = parser_notes.title or outline.first


def _shown(text: DecodedText, found: str, name: str) -> DecodedText:
    """The text as its readers see it. Most files have nothing that is to be replaced."""
    if not text.text.isascii() and is_visual(text.text):
        text = dataclasses.replace(text, text=in_order(text.text))
    is_catalogue = name.endswith(".bib")
    is_latex = found == "latex" or is_catalogue
    refers = found in _REFERRING and "&" in text.text
    if not (is_latex or refers or "\x1b" in text.text or "\0" in text.text):
        return text
    from agentgw_daemon.workers.retrieval.reading import replacing

    text = replacing.without_holes(replacing.without_terminal_codes(text))
    text = replacing.without_references(text) if refers else text
    return replacing.with_accents(text, catalogue=is_catalogue) if is_latex else text


def _block_parser(found: str) -> _Blocks:
    """Imported when there is such a document: together they take as long as a hundred documents."""
    from agentgw_daemon.workers.retrieval.reading.formats import plain

    match found:
        case "markdown":
            from agentgw_daemon.workers.retrieval.reading.formats.markup.markdown import markdown_blocks

            return markdown_blocks
        case "python" | "code" | "configuration":
            from agentgw_daemon.workers.retrieval.reading.formats import code

            parsers: dict[str, _Blocks] = {"python": code.python_blocks, "code": code.code_blocks}
            return parsers.get(found, code.configuration_blocks)
        case "csv":
            from agentgw_daemon.workers.retrieval.reading.formats.data.tables import table_blocks

            return table_blocks
        case "org" | "asciidoc" | "latex":
            from agentgw_daemon.workers.retrieval.reading.formats.markup import light

            parsers = {"org": light.org_blocks, "asciidoc": light.asciidoc_blocks}
            return parsers.get(found, light.latex_blocks)
        case "typst" | "textile" | "wikitext" | "pod" | "texinfo":
            from agentgw_daemon.workers.retrieval.reading.formats.markup.light import headed_blocks

            return headed_blocks(found)
        case "restructuredtext":
            return plain.restructured_blocks
        case "data":
            return plain.line_blocks
        case _:
            return plain.plain_blocks


def _extractor(found: str) -> _Sections:
    match found:
        case "pdf":
            from agentgw_daemon.workers.retrieval.reading.formats.pdfs.pdf import pdf_sections

            return pdf_sections
        case "docx" | "pptx" | "xlsx" | "odt" | "ods" | "odp" | "rtf":
            return _office(found)
        case "epub":
            from agentgw_daemon.workers.retrieval.reading.formats.epub import epub_sections

            return epub_sections
        case "notebook":
            from agentgw_daemon.workers.retrieval.reading.formats.notebook import notebook_section

            return notebook_section
        case "man":
            from agentgw_daemon.workers.retrieval.reading.formats.markup.man import man_section

            return man_section
        case "subtitles" | "entries":
            from agentgw_daemon.workers.retrieval.reading.formats.data import records

            return records.subtitles_section if found == "subtitles" else records.entries_section
        case "xml":
            from agentgw_daemon.workers.retrieval.reading.formats.data.xml_text import xml_section

            return xml_section
        case "json" | "escaped":
            from agentgw_daemon.workers.retrieval.reading.formats.data import escapes

            return escapes.json_section if found == "json" else escapes.escaped_section
        case "email" | "mailbox":
            from agentgw_daemon.workers.retrieval.reading.formats.mails import mail

            return mail.message_sections if found == "email" else mail.mailbox_sections
        case _:
            from agentgw_daemon.workers.retrieval.reading.formats.markup.html import html_section

            return html_section


def _office(found: str) -> _Sections:
    match found:
        case "docx":
            from agentgw_daemon.workers.retrieval.reading.formats.office.word import word_sections

            return word_sections
        case "pptx":
            from agentgw_daemon.workers.retrieval.reading.formats.office.slides import slides_sections

            return slides_sections
        case "xlsx":
            from agentgw_daemon.workers.retrieval.reading.formats.office.sheets import sheets_sections

            return sheets_sections
        case "rtf":
            from agentgw_daemon.workers.retrieval.reading.formats.office.rich_text import rich_text_sections

            return rich_text_sections
        case _:
            from agentgw_daemon.workers.retrieval.reading.formats.office.opendocument import opendocument_sections

            return opendocument_sections
