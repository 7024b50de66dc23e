"""Detection of a document's format: by its first bytes where they tell, else by its name. Does no I/O."""

from __future__ import annotations

import re
from typing import Final

from agentgw_daemon.workers.retrieval.reading.archive import Archive
from agentgw_daemon.workers.retrieval.reading.values import Unreadable

_NAMES: Final = {
    "markdown": "md markdown mdown mkd mkdn mdx qmd rmd",
    "restructuredtext": "rst rest",
    "html": "html htm xhtml xht",
    "email": "eml",
    "mailbox": "mbox mbx",
    "csv": "csv tsv tab psv",
    "notebook": "ipynb",
    "python": "py pyi pyw pyx",
    "configuration": "toml ini cfg conf properties env desktop service timer socket editorconfig",
    "data": """json jsonl ndjson json5 geojson yaml yml xml xsd xsl svg rss atom opml plist log diff patch ics vcf
        srt vtt po pot bib ris""",
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

_PDF_WITHIN_BYTES: Final = 1024
_HEAD_BYTES: Final = 4096
_HTML: Final = re.compile(
    rb"\s{0,200}(?:<\?xml[^>]{0,200}\?>\s{0,200})?(?:<!--[^>]{0,1000}-->\s{0,200})?<(?:!doctype html|html[\s>])",
    re.IGNORECASE,
)
_MESSAGE: Final = re.compile(
    rb"(?:[A-Za-z][A-Za-z-]{1,40}:[^\n]{0,998}\n(?:[ \t][^\n]{0,998}\n){0,20}){3,60}", re.ASCII
)
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
_OFFICE: Final = {
    "ppt/": "is a PowerPoint presentation, which is not read yet; save it as PDF",
    "xl/": "is an Excel workbook, which is not read yet; save its sheets as CSV",
}
# Files in people's folders that are no documents; the name says what it is.
_OTHERS: Final = (
    (b"\x89PNG\r\n", "is a picture (PNG)"),
    (b"\xff\xd8\xff", "is a picture (JPEG)"),
    (b"GIF8", "is a picture (GIF)"),
    (b"II*\0", "is a picture (TIFF)"),
    (b"MM\0*", "is a picture (TIFF)"),
    (b"\0\0\1\0", "is a picture (icon)"),
    (b"\x7fELF", "is a program"),
    (b"MZ", "is a program (Windows)"),
    (b"\xca\xfe\xba\xbe", "is a program"),
    (b"\xcf\xfa\xed\xfe", "is a program (macOS)"),
    (b"\x1f\x8b", "is a gzip archive; unpack it first"),
    (b"BZh", "is a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ\0", "is an xz archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it first"),
    (b"Rar!\x1a", "is a RAR archive; unpack it first"),
    (b"(\xb5/\xfd", "is a zstd archive; unpack it first"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Office document from before 2007, or encrypted; save it as .docx"),
    (b"SQLite format 3\0", "is an SQLite database"),
    (b"GGUF", "is a model (GGUF)"),
    (b"OggS", "is a sound or video (Ogg)"),
    (b"ID3", "is a sound (MP3)"),
    (b"fLaC", "is a sound (FLAC)"),
    (b"\x1aE\xdf\xa3", "is a video (Matroska)"),
    (b"wOFF", "is a font"),
    (b"wOF2", "is a font"),
    (b"\0asm", "is a program (WebAssembly)"),
    (b"AT&TFORM", "is a DjVu document, which is not read yet"),
    (b"{\\rtf", "is a rich text document (RTF), which is not read yet; save it as .docx"),
)  # fmt: skip


def format_of(name: str, data: bytes) -> str:
    """The format's name. Raises Unreadable for what is known not to be read."""
    head = data[:_HEAD_BYTES]
    if b"%PDF-" in head[:_PDF_WITHIN_BYTES]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_archive(data)
    for mark, reason in _OTHERS:
        # A text may begin with some of these letters, but has no zeros.
        if head.startswith(mark) and (len(mark) > 4 or b"\0" in head or max(mark) > 127):
            raise Unreadable(reason)
    if head[4:8] == b"ftyp" or (head.startswith(b"RIFF") and head[8:12] in (b"WAVE", b"AVI ", b"WEBP")):
        raise Unreadable("is a picture, sound or video")
    return _by_name(name) or _by_content(head)


def _by_name(name: str) -> str:
    base = name.rpartition("/")[2].lower()
    return _BY_NAME.get(base, "") or _BY_SUFFIX.get(base.rpartition(".")[2] if "." in base else "", "")


def _by_content(head: bytes) -> str:
    if _HTML.match(head):
        return "html"
    if _MAILBOX.match(head):
        return "mailbox"
    if _PYTHON.match(head):
        return "python"
    if head.startswith(b"#!"):
        return "code"
    message = _MESSAGE.match(head)
    lowered = b"\n" + message[0].lower() if message is not None else b""
    return "email" if sum(b"\n" + name in lowered for name in _MESSAGE_NAMES) >= 3 else "text"


def _in_archive(data: bytes) -> str:
    archive = Archive(data)
    if "word/document.xml" in archive:
        return "docx"
    if "META-INF/container.xml" in archive:
        return "epub"
    for folder, reason in _OFFICE.items():
        if archive.has_folder(folder):
            raise Unreadable(reason)
    if "content.xml" in archive:
        raise Unreadable("is an OpenDocument file, which is not read yet; save it as .docx")
    raise Unreadable("is a ZIP archive; unpack it first")
