"""Files that are no documents, known by their first bytes, and what to do with each. Does no I/O."""

from __future__ import annotations

import re
from typing import Final

# As much of a file as its marks are looked for in.
_HEAD_BYTES: Final = 4096
_UNPACK: Final = "unpack it first"
_PICTURES: Final = (
    (b"\x89PNG\r\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"), (b"\0\0\1\0", "icon"), (b"\0\0\2\0", "cursor"), (b"icns", "icon"),
    (b"8BPS", "Photoshop"), (b"gimp xcf", "GIMP"), (b"v/1\1", "OpenEXR"), (b"#?RADIANCE", "Radiance"),
    (b"DDS ", "DirectDraw"), (b"SIMPLE  =", "FITS"), (b"\xd7\xcd\xc6\x9a", "WMF"), (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"\xff\x0a\xfa", "JPEG XL"), (b"\0\0\0\x0cJXL ", "JPEG XL"), (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"), (b"\x01\xda\0", "SGI"), (b"\x01\xda\1", "SGI"), (b"farbfeld", "farbfeld"),
    (b"qoif", "QOI"), (b"FUJIFILMCCD-RAW", "camera"), (b"/* XPM */", "XPM"),
)  # fmt: skip
_SOUNDS: Final = (
    (b"OggS", "is a sound or video (Ogg)"),
    (b"ID3", "is a sound (MP3)"), (b"\xff\xfb", "is a sound (MP3)"), (b"\xff\xf3", "is a sound (MP3)"),
    (b"\xff\xf2", "is a sound (MP3)"), (b"\xff\xf1", "is a sound (AAC)"), (b"\xff\xf9", "is a sound (AAC)"),
    (b"fLaC", "is a sound (FLAC)"), (b".snd\0", "is a sound (AU)"), (b"MThd\0\0\0", "is a sound (MIDI)"),
    (b"caff\0", "is a sound (CAF)"), (b"RF64", "is a sound (WAV)"), (b"wvpk", "is a sound (WavPack)"),
    (b"MAC \x96", "is a sound (Monkey's Audio)"), (b"#!AMR", "is a sound (AMR)"), (b"#!SILK", "is a sound (SILK)"),
    (b"Creative Voice File", "is a sound (VOC)"), (b"Extended Module: ", "is a sound (XM)"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "is a sound or video (Windows Media)"), (b"FLV\1", "is a video (Flash)"),
    (b"\x1aE\xdf\xa3", "is a video (Matroska)"), (b"\0\0\1\xba", "is a video (MPEG)"),
    (b"\0\0\1\xb3", "is a video (MPEG)"),
)  # fmt: skip
_ARCHIVES: Final = (
    (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"), (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"Rar!\x1a", "a RAR archive"), (b"(\xb5/\xfd", "a zstd archive"),
    (b"\x04\x22\x4d\x18", "an lz4 archive"), (b"LZIP\1", "an lzip archive"), (b"\x5d\0\0\x80\0", "an lzma archive"),
    (b"\x1f\x9d", "a compress archive"), (b"MSCF\0", "a cabinet archive"), (b"!<arch>\n", "an ar archive"),
    (b"070701", "a cpio archive"), (b"070707", "a cpio archive"), (b"xar!\0", "a xar archive"),
    (b"\xed\xab\xee\xdb", "an RPM package"),
)  # fmt: skip
_PROGRAMS: Final = (
    (b"MZ", "is a program (Windows)"), (b"\xca\xfe\xba\xbe", "is a program"),
    (b"\xcf\xfa\xed\xfe", "is a program (macOS)"),
    (b"\xce\xfa\xed\xfe", "is a program (macOS)"), (b"\xfe\xed\xfa\xce", "is a program (macOS)"),
    (b"\xfe\xed\xfa\xcf", "is a program (macOS)"), (b"\0asm", "is a program (WebAssembly)"),
    (b"BC\xc0\xde", "is a program (LLVM bitcode)"), (b"\x1bLua", "is a program (Lua bytecode)"),
    (b"dex\n03", "is a program (Android)"), (b"MDMP\x93", "is a memory dump"), (b"PAGEDU", "is a memory dump"),
)  # fmt: skip
_FONTS: Final = (
    b"wOFF",
    b"wOF2",
    b"\0\1\0\0\0",
    b"OTTO\0",
    b"ttcf\0",
    b"true\0",
    b"STARTFONT ",
    b"\1fcp",
    b"\x80\x01",
    b"%!PS-AdobeFont",
)
_DATA: Final = (
    (b"SQLite format 3\0", "is an SQLite database"), (b"\x37\x7f\x06\x82", "is a part of an SQLite database"),
    (b"\x37\x7f\x06\x83", "is a part of an SQLite database"), (b"\xd9\xd5\x05\xf9", "is a part of an SQLite database"),
    (b"bplist00", "is a binary property list, in which programs keep settings and pages"),
    (b"GGUF", "is a model (GGUF)"), (b"\x89HDF\r\n", "is a file of numbers (HDF5)"),
    (b"\x93NUMPY", "is a file of numbers (NumPy)"), (b"CDF\1", "is a file of numbers (NetCDF)"),
    (b"CDF\2", "is a file of numbers (NetCDF)"), (b"PAR1\x15", "is a table (Parquet); save it as CSV"),
    (b"ARROW1\0", "is a table (Arrow); save it as CSV"), (b"Obj\1", "is a table (Avro); save it as CSV"),
    (b"PACK\0\0\0", "is a part of a git repository"), (b"DIRC\0\0\0", "is a part of a git repository"),
    (b"\xd4\xc3\xb2\xa1", "is a recording of a network"), (b"\xa1\xb2\xc3\xd4", "is a recording of a network"),
    (b"\n\r\r\n", "is a recording of a network"), (b"QFI\xfb", "is a disk image"), (b"KDMV", "is a disk image"),
    (b"\xeb\x3c\x90", "is a disk image"),
    (b"\xde\x12\x04\x95", "is a catalogue of translations; its .po file can be read"),
    (b"\x95\x04\x12\xde", "is a catalogue of translations; its .po file can be read"),
)  # fmt: skip
_UNREAD_DOCUMENTS: Final = (
    (b"AT&TFORM", "is a DjVu document, which is not read; save it as PDF"),
    (b"%!PS", "is PostScript, which is not read; make a PDF of it (ps2pdf)"),
    (b"\xc5\xd0\xd3\xc6", "is PostScript, which is not read; make a PDF of it (ps2pdf)"),
    (b"ITSF\3\0", "is compiled HTML help (CHM); unpack it first"),
    (b"\xffWPC", "is a WordPerfect document, which is not read; save it as .docx"),
    (b"!BDN", "is a mailbox of Outlook, which is not read; export its messages as .eml"),
    (b"\xcf\xad\x12\xfe", "is a mailbox of Outlook Express, which is not read; export its messages as .eml"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "is a notebook of OneNote, which is not read; export it as PDF"),
)  # fmt: skip
_MARKS: Final = (
    # A more special mark stands before a more general one.
    *((mark, "is a font") for mark in _FONTS),
    *((mark, f"is a picture ({name})") for mark, name in _PICTURES),
    *_SOUNDS,
    *((mark, f"is {name}; {_UNPACK}") for mark, name in _ARCHIVES),
    *_PROGRAMS,
    *_DATA,
    *_UNREAD_DOCUMENTS,
)
_COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS: Final = (
    ("EncryptedPackage", "is encrypted: save it without its password"),
    ("WordDocument", "is a Word document from before 2007; save it as .docx"),
    ("PowerPoint Document", "is a presentation from before 2007; save it as .pptx"),
    ("Workbook", "is a workbook from before 2007; save it as .xlsx"),
    ("VisioDocument", "is a drawing of Visio from before 2013; save it as PDF"),
    ("HwpSummaryInformation", "is a document of Hancom Office (HWP), which is not read; save it as .docx"),
    ("Quill", "is a document of Publisher, which is not read; save it as PDF"),
    ("__properties_version1.0", "is a message of Outlook, which is not read; save it as .eml"),
)
# Marks in letters that texts do not begin with; other such marks count only where the bytes around are no text.
_CERTAIN: Final = (b"STARTFONT ", b"/* XPM */", b"%!PS", b"SIMPLE  =  ", b"#?RADIANCE")
_NOT_PRINTED: Final = bytes(set(range(32)) - set(b"\t\n\r\f\v\b\x1b")) + b"\x7f"
_AT_BYTES: Final = (
    (257, b"ustar", "is a tar archive; unpack it first"),
    (60, b"BOOKMOBI", "is a Kindle book, which is not read; convert it to EPUB"),
    (60, b"TEXtREAd", "is a Palm book, which is not read; convert it to EPUB"),
    (40, b" EMF", "is a picture (EMF)"),
    (128, b"DICM", "is a picture (DICOM)"),
    (0x8001, b"CD001", "is a disk image; unpack it first"),
)
# Netpbm's formats; the first three write their points as numbers.
_NETPBM: Final = re.compile(
    rb"P[1-6]\s(?:\s{0,40}#[^\n]{0,400}\n){0,40}\s{0,40}\d{1,6}\s{1,40}(?:#[^\n]{0,400}\n)?\d{1,6}\s"
    rb"|P7\n(?:#[^\n]{0,400}\n){0,40}(?:WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE) "
    rb"|P[Ff]\r?\n\d{1,6}\s\d{1,6}\s-?\d"
)
_XBM: Final = re.compile(
    rb"(?:/\*[^*]{0,400}\*/\s{0,40})?#define[ \t]{1,9}\w{0,80}width[ \t]{1,9}\d{1,6}\s{1,9}"
    rb"#define[ \t]{1,9}\w{0,80}height[ \t]{1,9}\d{1,6}\s"
)
# Files to be written into the memory of a device: addresses, bytes and sums, as Intel and Motorola write them.
_DEVICE_CODE: Final = re.compile(rb"(?::[0-9A-Fa-f]{10,521}\r?\n){3}|(?:S[0-9][0-9A-Fa-f]{8,514}\r?\n){3}")
_BITMAP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_PYTHON_BYTECODE: Final = re.compile(rb"[\x00-\xff][\x0a-\x0f]\r\n[\x00-\x03]\0\0\0")
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05][\x95(X\]c}]")
_CONTAINERS: Final = {
    b"WAVE": "is a sound (WAV)", b"AVI ": "is a video (AVI)", b"WEBP": "is a picture (WebP)",
    b"AIFF": "is a sound (AIFF)", b"AIFC": "is a sound (AIFF)", b"8SVX": "is a sound (8SVX)",
    b"ILBM": "is a picture (ILBM)",
}  # fmt: skip
_ELF_CORE: Final = 4
_TRANSPORT_PACKET_BYTES: Final = 188


def reason_not_to_read(data: bytes) -> str:
    """The reason why a file is no document, in words for its owner; empty when its first bytes say nothing."""
    head = data[:_HEAD_BYTES]
    if head.startswith(_COMPOUND):
        return _in_compound(data)
    binary = len(head.translate(None, _NOT_PRINTED)) < len(head)
    for mark, reason in _MARKS:
        if head.startswith(mark) and (binary or mark in _CERTAIN or (len(mark) > 2 and max(mark) > 127)):
            return reason
    if _XBM.match(head) or _NETPBM.match(head):
        return "is a picture (XBM)" if head[:1] in b"#/" else "is a picture (Netpbm)"
    if _DEVICE_CODE.match(head):
        return "is a program (for a device, in hexadecimal)"
    if not binary:
        return ""
    for at, mark, reason in _AT_BYTES:
        if data.startswith(mark, at):
            return reason
    return _by_structure(head)


def _in_compound(data: bytes) -> str:
    """The reason for a file of Office's old kind, which names its streams in UTF-16."""
    for stream, reason in _STREAMS:
        if stream.encode("utf-16-le") in data:
            return reason
    return "is an Office document from before 2007, or encrypted; save it as .docx"


def _by_structure(head: bytes) -> str:
    """The reason for a file whose first bytes are a structure with numbers in it."""
    if head.startswith(b"\x7fELF"):
        return "is a memory dump (core)" if _ELF_CORE in (head[16:17] + head[17:18]) else "is a program"
    if head.startswith(b"BM") and head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return "is a picture (BMP)"
    if head.startswith((b"RIFF", b"RIFX", b"FORM")):
        return _CONTAINERS.get(head[8:12], "is a picture, sound or video")
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") and head[0] < 2:
        return "is a picture, sound or video"
    if head[0] == 0x47 and head[_TRANSPORT_PACKET_BYTES : _TRANSPORT_PACKET_BYTES + 1] == b"\x47":
        return "is a video (MPEG)"
    if re.match(rb"\x0a[\x00-\x05]\x01[\x01\x02\x04\x08]", head):
        return "is a picture (PCX)"
    if _PYTHON_BYTECODE.match(head):
        return "is a program (Python bytecode)"
    return "is a file of Python objects (pickle)" if _PICKLE.match(head) else ""
