from __future__ import annotations

import struct

import pytest

from agentgw_daemon.workers.retrieval.reading.detection.known_files import reason_not_to_read

BMP = struct.pack("<2sIHHIIiiHH", b"BM", 1078, 0, 0, 54, 40, 16, 16, 1, 24) + bytes(24) + bytes(range(200, 232)) * 32


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (BMP, "is a picture (BMP)"),
        (b":10010000214601360121470136007EFE09D2190140\r\n" * 9, "is a program (for a device, in hexadecimal)"),
        (b"S00F000068656C6C6F202020202000003C\nS5030003F9\n" * 9, "is a program (for a device, in hexadecimal)"),
        (b"STARTFONT 2.1\nFONT x\nSTARTCHAR a\nBITMAP\n00\n", "is a font"),
        (b"bplist00\xd1\x01\x02" + bytes(40), "is a binary property list, in which programs keep settings and pages"),
        (b":smile: is a sign\n:10: is a number\nS0 it is.\n", ""),
        (b"P5\n# made by hand\n4 4\n255\n" + bytes(range(100, 116)), "is a picture (Netpbm)"),
        (b"P5 4 4 255 " + b"~" * 16, "is a picture (Netpbm)"),
        (b"P6\n2 2\n255\n" + b"\xc8\xc9\xca" * 4, "is a picture (Netpbm)"),
        (b"P4\n16 2\n\xff\xf0\x0f\xff", "is a picture (Netpbm)"),
        (b"P2\n4 2\n9\n1 2 3 4\n5 6 7 8\n", "is a picture (Netpbm)"),
        (b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 1\nMAXVAL 255\nENDHDR\n\xc8\xc8\xc8\xc8", "is a picture (Netpbm)"),
        (b"#define dot_width 8\n#define dot_height 1\nstatic char dot_bits[] = { 0x18 };", "is a picture (XBM)"),
        (b'/* XPM */\nstatic char *dot[] = {"1 1 1 1",};', "is a picture (XPM)"),
        (b"II+\0\x08\0\0\0", "is a picture (TIFF)"),
        (b"\x0a\5\1\x08" + bytes(60), "is a picture (PCX)"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "is a sound (WAV)"),
        (b"FORM\0\0\0\x20AIFFCOMM", "is a sound (AIFF)"),
        (b"FORM\0\0\0\x20AIFCFVER", "is a sound (AIFF)"),
        (b".snd\0\0\0\x18", "is a sound (AU)"),
        (b"MThd\0\0\0\6\0\1", "is a sound (MIDI)"),
        (b"\xff\xfb\x90\x44\0\0\0", "is a sound (MP3)"),
        (b"G" + bytes(187) + b"G" + bytes(187), "is a video (MPEG)"),
        (b"\0\0\0\x18ftypmp42", "is a picture, sound or video"),
        (b"\x7fELF\2\1\1" + bytes(9) + b"\4\0", "is a memory dump (core)"),
        (b"\x7fELF\2\1\1" + bytes(9) + b"\2\0", "is a program"),
        (b"\xa7\x0d\r\n\0\0\0\0" + bytes(8), "is a program (Python bytecode)"),
        (b"\x80\4\x95\x10\0\0\0\0\0\0\0", "is a file of Python objects (pickle)"),
        (b"name" + bytes(253) + b"ustar\x0000", "is a tar archive; unpack it first"),
        (b"The_Novel" + bytes(51) + b"BOOKMOBI" + bytes(9), "is a Kindle book, which is not read; convert it to EPUB"),
        (b"%!PS-Adobe-3.0\n%%Pages: 1\n", "is PostScript, which is not read; make a PDF of it (ps2pdf)"),
        (b"\0\1\0\0\0\x10", "is a font"),
        (b"PAR1\x15\4\x15", "is a table (Parquet); save it as CSV"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_named(data: bytes, reason: str) -> None:
    assert reason_not_to_read(data) == reason


@pytest.mark.parametrize(
    "text",
    [
        "", "BM is a village", "P5 is a picture format; P6 too.", "P4 2 all of you", "P2 was not there",
        "FORMs of verbs",
        "RIFF raff", "PACK your things", "true story", "OTTO is a name", "#define width 8\nint main() {}",
        "#!AMRita wrote this", "DDS is a doctor", "0707010 is a number", "G" * 400, "Obj\n", "MAC addresses", "ÿû",
        "icns of old", "\n\r\r\nlate text",
    ],
)  # fmt: skip
def test_a_text_that_begins_like_one_is_none(text: str) -> None:
    assert reason_not_to_read(text.encode()) == ""
