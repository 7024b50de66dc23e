from __future__ import annotations

import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.workers.retrieval.reading.files import archive
from agentgw_daemon.workers.retrieval.reading.files.archive import Archive
from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.archives import with_claimed_size, with_flag, zipped


def refusal(data: bytes, name: str = "a") -> str:
    """The reason why this entry of the archive is not read."""
    with pytest.raises(Unreadable) as refused:
        Archive(data).read(name)
    return str(refused.value)


@pytest.mark.parametrize("packed", [True, False])
def test_what_was_packed_is_unpacked(packed: bool) -> None:
    data = zipped({"a": b"text" * 1000, "b/c": b"more"}, packed=packed)
    assert Archive(data).read("a") == b"text" * 1000
    assert "b/c" in Archive(data)
    assert Archive(data).has_folder("b/")
    assert not Archive(data).has_folder("c/")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zipped({"a": bytes(40 << 20)})
    assert len(bomb) < 100_000
    assert "out of all proportion" in refusal(bomb)


def test_one_entry_may_not_claim_too_much() -> None:
    assert "would unpack to 70 MB" in refusal(with_claimed_size(zipped({"a": b"x" * 99}), 70_000_000))


def test_all_entries_together_may_not_claim_too_much() -> None:
    data = with_claimed_size(zipped({f"a{n}": b"x" * 99 for n in range(20)}), 60_000_000)
    assert "would unpack to 1,200 MB" in refusal(data)


def test_more_is_never_unpacked_than_was_claimed() -> None:
    assert "damaged" in refusal(with_claimed_size(zipped({"a": bytes(5 << 20)}), 1000))


def test_an_entry_read_again_and_again_counts_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 10_000)
    opened = Archive(zipped({"a": b"text" * 1000}))
    opened.read("a")
    opened.read("a")
    with pytest.raises(Unreadable, match="too often"):
        opened.read("a")


def test_too_many_entries_are_refused_by_the_directory_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped({f"{n}": b"" for n in range(archive.MAX_ENTRIES + 1)})
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert "more than 10,000 files inside" in refusal(data)


def test_a_directory_that_hides_its_size_is_refused() -> None:
    data = zipped({"a": b"x"})
    end = data.rfind(b"PK\x05\x06")
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 1)
    assert "of a size that documents do not have" in refusal(data[:end] + locator + data[end:])


def test_encryption_is_named() -> None:
    assert refusal(with_flag(zipped({"a": b"x"}), 1)) == "is encrypted"


def test_another_way_of_packing_is_refused() -> None:
    data = zipped({"a": b"x" * 99}).replace(
        b"PK\x01\x02\x14\x03\x14\0\0\0\x08\0", b"PK\x01\x02\x14\x03\x14\0\0\0\x0c\0"
    )
    assert "packed in a way that documents are not" in refusal(data)


def test_a_missing_entry_is_named() -> None:
    assert refusal(zipped({"b": b""})) == "lacks a, without which it is no document"


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_a_damaged_archive_is_read_or_refused(at: int, byte: int, cut: bool) -> None:
    data = zipped({"a": b"some text " * 50, "b": b"more"})
    at %= len(data)
    damaged = data[:at] if cut else data[:at] + bytes([byte]) + data[at + 1 :]
    try:
        assert Archive(damaged).read("a")
    except Unreadable:
        return
