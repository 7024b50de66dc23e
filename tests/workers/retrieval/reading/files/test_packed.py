from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.files import packed
from agentgw_daemon.workers.retrieval.reading.files.packed import unpacked
from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.reads import read_bytes

SUFFIX_OF = {gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".xz"}
LOG = b"hive (1.2) unstable; urgency=low\n\n  * The bees dance.\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("changelog.gz", gzip.compress(LOG)),
        ("changelog.bz2", bz2.compress(LOG)),
        ("changelog.XZ", lzma.compress(LOG)),
        ("changelog.lzma", lzma.compress(LOG, format=lzma.FORMAT_ALONE)),
    ],
    # gzip writes the time into its bytes, and tests that share processes need names that stay.
    ids=["gzip", "bzip2", "xz", "lzma"],
)
def test_a_packed_text_is_read(tmp_path: Path, name: str, data: bytes) -> None:
    document, [piece] = read_bytes(tmp_path, name, data)
    assert (document.format, document.name, document.size_bytes, document.extracted) == ("text", name, len(data), True)
    assert piece.text == LOG.decode().strip()
    assert (piece.first_line, piece.first_byte) == (1, 0)


def test_a_packed_page_is_read_by_the_name_inside(tmp_path: Path) -> None:
    document, _ = read_bytes(tmp_path, "bee.1.gz", gzip.compress(b".TH BEE 1\n.SH NAME\nbee \\- dance\n"))
    assert (document.format, document.title) == ("man", "bee(1)")
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><text>Label</text></svg>'
    document, [piece] = read_bytes(tmp_path, "a.svgz", gzip.compress(drawing))
    assert (document.format, piece.text) == ("xml", "Label")
    document, _ = read_bytes(tmp_path, "a.md.gz", gzip.compress(b"# Hive\n\nText.\n"))
    assert (document.format, document.title) == ("markdown", "Hive")


def test_members_one_after_the_other_are_one_text() -> None:
    assert unpacked(gzip.compress(b"one ") + gzip.compress(b"two") + b"\0" * 9, "a.txt.gz") == (b"one two", "a.txt")


def refusal(data: bytes, name: str) -> str:
    with pytest.raises(Unreadable) as refused:
        unpacked(data, name)
    return str(refused.value)


def test_what_is_no_single_document_is_refused(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(__file__, "a.py")
    assert refusal(made.getvalue(), "a.tar.gz") == "is a tar archive packed by gzip; unpack it first"
    assert refusal(gzip.compress(LOG)[:-9], "a.gz") == "is a damaged or cut off gzip archive"
    assert refusal(b"\x1f\x8b" + b"\xff" * 40, "a.gz") == "is a damaged gzip archive"
    assert unpacked(gzip.compress(LOG), "a.tgz") is None
    with pytest.raises(Unreadable, match="is a picture"):
        read_bytes(tmp_path, "a.png.gz", gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(50)))


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(bytes(8 << 20))
    assert "out of all proportion" in refusal(bomb, "a.gz")
    assert "out of all proportion" in refusal(bz2.compress(bytes(8 << 20)), "a.bz2")
    assert "out of all proportion" in refusal(lzma.compress(bytes(8 << 20)), "a.xz")
    monkeypatch.setattr(packed, "_MAX_BYTES", 1000)
    assert "out of all proportion" in refusal(gzip.compress(LOG * 50), "a.gz")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_members_may_end_anywhere_and_have_zeros_behind_them(pack: Callable[[bytes], bytes]) -> None:
    parts = [os.urandom(size) for size in (0, 1, 16_000, 16_384, 40_000, 5)]
    data = b"".join(pack(part) + b"\0" * number * 9000 for number, part in enumerate(parts))
    assert unpacked(data, f"a.txt{SUFFIX_OF[pack]}") == (b"".join(parts), "a.txt")
