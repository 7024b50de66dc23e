"""Detection of a document's format: by its first bytes where they tell, else by its name. Does no I/O."""

from __future__ import annotations

import re
from typing import Final

from agentgw_daemon.workers.retrieval.reading.detection.known_files import reason_not_to_read
from agentgw_daemon.workers.retrieval.reading.files.archive import Archive
from agentgw_daemon.workers.retrieval.reading.values import Unreadable

_NAMES: Final = {
    "markdown": "md markdown mdown mkd mkdn mdx qmd rmd",
    "restructuredtext": "rst rest",
    "html": "html htm xhtml xht",
    "email": "eml emlx mht mhtml",
    "mailbox": "mbox mbx",
    "csv": "csv tsv tab psv",
    "notebook": "ipynb",
    "python": "py pyi pyw pyx",
    "configuration": "toml ini cfg conf properties env desktop service timer socket editorconfig",
    "xml": """xml xsd xsl xslt svg rss atom rdf opml plist dbk docbook tei fb2 gpx kml wsdl xlf xliff tmx resx xmp
        dita ditamap""",
    "json": "json jsonl ndjson json5 jsonc jsonld geojson topojson har webmanifest arb",
    "data": "yaml yml log diff patch po pot bib ris",
    "subtitles": "srt vtt ass ssa",
    "entries": "ics ical ifb vcf vcard vcs",
    "odt": "fodt",
    "ods": "fods",
    "odp": "fodp",
    "org": "org",
    "asciidoc": "adoc asciidoc",
    "latex": "tex latex ltx sty bbl dtx rnw",
    "typst": "typ",
    "textile": "textile",
    "wikitext": "wiki mediawiki",
    "pod": "pod",
    "texinfo": "texi texinfo txi",
    "code": """c h cc cpp cxx c++ hh hpp hxx ino cu java js mjs cjs jsx ts mts cts tsx go rs rb rake php cs fs fsx vb
        swift kt kts scala groovy gradle dart sh bash zsh fish ksh pl pm t lua sql r jl hs lhs ex exs erl hrl
        clj cljs cljc el lisp scm rkt ml mli elm nim zig d v sv vhd vhdl pas pp ada adb ads f f90 f95 for cob
        cbl asm s m mm vim ps1 psm1 bat cmd tcl awk sed mk cmake dockerfile tf hcl proto thrift graphql gql css
        scss sass less vue svelte astro nix bzl bazel sol wat glsl hlsl wgsl""",
}
_BY_SUFFIX: Final = {suffix: name for name, suffixes in _NAMES.items() for suffix in suffixes.split()}
_BY_NAME: Final = {
    "makefile": "code", "gnumakefile": "code", "dockerfile": "code", "containerfile": "code", "cmakelists.txt": "code",
    "rakefile": "code", "gemfile": "code", "vagrantfile": "code", "jenkinsfile": "code", "build": "code",
    "workspace": "code", ".bashrc": "code", ".profile": "code", ".zshrc": "code", ".vimrc": "code",
    ".gitconfig": "configuration", ".editorconfig": "configuration", ".npmrc": "configuration",
}  # fmt: skip

_BEFORE_RICH_TEXT: Final = b"\xef\xbb\xbf \t\r\n"
_PDF_WITHIN_BYTES: Final = 1024
_HEAD_BYTES: Final = 4096
_HTML: Final = re.compile(
    rb"\s{0,200}(?:<\?xml[^>]{0,200}\?>\s{0,200})?(?:<!--[^>]{0,1000}-->\s{0,200})?<(?:!doctype html|html[\s>])",
    re.IGNORECASE,
)
_XML: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,200}(?:<\?xml\s|<(?:rss|feed|svg)[\s>])")
_JSON: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s{0,200}(?:\{\s{0,200}\"[^\"\n]{1,200}\"\s{0,9}:|\[\s{0,200}[\[{]\s{0,200}\")"
)
# A character by its number, as Java's properties and YAML may have it; not the path of a user on Windows.
_NUMBERED: Final = re.compile(rb"\\u[0-9a-fA-F]{4}|\\U000[0-9a-fA-F]{5}")
_MESSAGE: Final = re.compile(rb"(?:[A-Za-z][\w-]{1,60}:[^\n]{0,998}\n(?:[ \t][^\n]{0,998}\n){0,40}){3,100}", re.ASCII)
# Of what stations on the way wrote, before what the sender did.
_MESSAGE_BYTES: Final = 32 << 10
# Manual pages end in a section's number, as logs do. A preamble of macros may stand before the title.
_MAN_BEGINS: Final = re.compile(rb"\s{0,20}[.'](?:\\\"|TH[ \t]|Dd[ \t]|so[ \t]|de[ \t]|ig\b|nh\b|ad\b|if[ \t])")
_MAN: Final = re.compile(rb"^\.[ \t]?(?:TH|Dd|SH|Sh)[ \t]", re.MULTILINE)
_MAN_WITHIN_BYTES: Final = 32 << 10
# Bold and underlined as a printer does it.
_STRUCK_TWICE: Final = re.compile(rb"([!-~\x80-\xff])\x08\1|_\x08[!-~\x80-\xff]")
_POINTER: Final = re.compile(rb"(?:[.']\\\"[^\n]{0,200}\n){0,20}\.so[ \t]{1,9}\S{1,200}\s{0,20}")
_MESSAGE_NAMES: Final = (
    b"from:",
    b"date:",
    b"received:",
    b"return-path:",
    b"message-id:",
    b"subject:",
    b"mime-version:",
)
_MAILBOX: Final = re.compile(rb"From [^\n]{1,300}\d\d:\d\d[^\n]{0,80}\r?\n[A-Za-z][A-Za-z-]{1,40}:")
_PYTHON: Final = re.compile(rb"#![^\n]{0,100}python")
# Archives whose kind a name inside tells, and what to do with those that are not read.
_OFFICE: Final = {"ppt/": "pptx", "xl/": "xlsx"}
_OPEN: Final = {"spreadsheet": "ods", "presentation": "odp"}
_UNREAD: Final = (
    ("xl/workbook.bin", "is a binary Excel workbook, which is not read; save it as .xlsx"),
    ("Index/Document.iwa", "is a document of Pages, Numbers or Keynote, which is not read; export it as PDF"),
    ("visio/document.xml", "is a drawing of Visio, which is not read; save it as PDF"),
    ("FixedDocSeq.fdseq", "is an XPS document, which is not read; save it as PDF"),
    ("FixedDocumentSequence.fdseq", "is an XPS document, which is not read; save it as PDF"),
    ("designmap.xml", "is a document of InDesign, which is not read; save it as PDF"),
    ("Contents/content.hpf", "is a document of Hancom Office (HWPX), which is not read; save it as .docx"),
    ("META-INF/MANIFEST.MF", "is a program (Java)"),
    ("AndroidManifest.xml", "is a program (Android)"),
)


def format_of(name: str, data: bytes) -> str:
    """The format's name. Raises Unreadable for what is known not to be read."""
    head = data[:_HEAD_BYTES]
    if b"%PDF-" in head[:_PDF_WITHIN_BYTES]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_archive(data)
    if head.lstrip(_BEFORE_RICH_TEXT).startswith(b"{\\rtf"):
        return "rtf"
    if reason := reason_not_to_read(data):
        raise Unreadable(reason)
    if _MAN_BEGINS.match(head) and (_MAN.search(data, 0, _MAN_WITHIN_BYTES) or _POINTER.fullmatch(head)):
        return "man"
    if len(_STRUCK_TWICE.findall(head)) > 2:
        return "man"
    found = _by_name(name) or _by_content(head, data)
    return _with_escapes(found, data) if found in ("json", "data", "configuration") else found


def _by_name(name: str) -> str:
    base = name.rpartition("/")[2].lower()
    return _BY_NAME.get(base, "") or _BY_SUFFIX.get(base.rpartition(".")[2] if "." in base else "", "")


def _with_escapes(found: str, data: bytes) -> str:
    """The format of data and settings: one that is extracted only where characters are written by their numbers."""
    if found == "json":
        return "json" if b"\\" in data else "data"
    return "escaped" if _NUMBERED.search(data) else found


def _by_content(head: bytes, data: bytes) -> str:
    if _HTML.match(head):
        return "html"
    if _XML.match(head):
        return "xml"
    if _JSON.match(head):
        return "json"
    if _MAILBOX.match(head):
        return "mailbox"
    if _PYTHON.match(head):
        return "python"
    if head.startswith(b"#!"):
        return "code"
    message = _MESSAGE.match(data[:_MESSAGE_BYTES])
    lowered = b"\n" + message[0].lower() if message is not None else b""
    return "email" if sum(b"\n" + name in lowered for name in _MESSAGE_NAMES) >= 3 else "text"


def _in_archive(data: bytes) -> str:
    archive = Archive(data)
    # With the XML parser, which most folders do not need.
    from agentgw_daemon.workers.retrieval.reading.formats.office.parts import office_kind

    kind = office_kind(archive)
    if kind == "docx" or "word/document.xml" in archive:
        return "docx"
    if archive.named("META-INF/container.xml"):
        return "epub"
    for name, reason in _UNREAD:
        if archive.named(name):
            raise Unreadable(reason)
    if kind:
        return kind
    if found := next((name for folder, name in _OFFICE.items() if archive.has_folder(folder)), ""):
        return found
    if "content.xml" in archive:
        mime = archive.read("mimetype").decode("ascii", "replace") if "mimetype" in archive else ""
        return next((name for word, name in _OPEN.items() if word in mime), "odt")
    raise Unreadable("is a ZIP archive; unpack it first")
