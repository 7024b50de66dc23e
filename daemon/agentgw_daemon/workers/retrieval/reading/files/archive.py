"""Files inside a ZIP archive that may have been made to hurt: what it claims is checked before anything is unpacked."""

from __future__ import annotations

import io
import struct
import unicodedata
import zipfile
import zlib
from typing import Final

from agentgw_daemon.workers.retrieval.reading.values import Unreadable

# A book has a few hundred entries, an illustrated one a few thousand.
MAX_ENTRIES: Final = 10_000
# zipfile reads the whole directory at once; this is ten times what so many entries take.
_MAX_DIRECTORY_BYTES: Final = 10 << 20
MAX_TOTAL_BYTES: Final = 512 << 20
# Of one entry that is read, all text: the largest documents have a tenth.
MAX_ENTRY_BYTES: Final = 64 << 20
# Deflate cannot do more than 1032; XML of real documents stays below 100.
MAX_RATIO: Final = 200
_RATIO_FROM_BYTES: Final = 1 << 20
_END: Final = b"PK\x05\x06"
_END64_LOCATOR: Final = b"PK\x06\x07"
_END_BYTES: Final = 22
_LONGEST_COMMENT: Final = 65_535


class Archive:
    """A checked archive. Raises Unreadable for what is damaged, encrypted or out of proportion."""

    def __init__(self, data: bytes) -> None:
        _check_directory(data)
        try:
            self._zip: Final = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise Unreadable("is a damaged ZIP archive") from error
        self._entries: Final = {entry.filename: entry for entry in self._zip.infolist()}
        if len(self._zip.infolist()) > MAX_ENTRIES:
            raise Unreadable(f"has more than {MAX_ENTRIES:,} files inside")
        unpacked = sum(entry.file_size for entry in self._entries.values())
        if unpacked > MAX_TOTAL_BYTES:
            raise Unreadable(f"would unpack to {unpacked / 1e6:,.0f} MB")
        self._by_any_case: Final = {_plain(name): name for name in reversed(self._entries)}
        self._read = 0

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def named(self, name: str) -> str:
        """The entry that a document means by this name, whatever its case and its kind of slashes; empty for none."""
        return name if name in self._entries else self._by_any_case.get(_plain(name), "")

    def names(self) -> list[str]:
        """All names, in the archive's order."""
        return list(self._entries)

    def has_folder(self, folder: str) -> bool:
        """Tells whether there is anything in this folder, named with its slash."""
        return any(name.startswith(folder) for name in self._entries)

    def read(self, name: str) -> bytes:
        """The bytes of one entry; zipfile stops at the size that was checked, whatever is packed in it."""
        entry = self._entries.get(name)
        if entry is None:
            raise Unreadable(f"lacks {name}, without which it is no document")
        if entry.flag_bits & 1:
            raise Unreadable("is encrypted")
        if entry.file_size > MAX_ENTRY_BYTES:
            raise Unreadable(f"would unpack to {entry.file_size / 1e6:,.0f} MB")
        if entry.file_size > _RATIO_FROM_BYTES and entry.file_size > MAX_RATIO * entry.compress_size:
            raise Unreadable("is packed out of all proportion, as only a ZIP bomb is")
        self._read += entry.file_size
        if self._read > MAX_TOTAL_BYTES:
            raise Unreadable("has the same files inside too often")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable("is packed in a way that documents are not")
        try:
            return self._zip.read(entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
            raise Unreadable("is a damaged ZIP archive") from error


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./").lstrip("/")).casefold()


def _check_directory(data: bytes) -> None:
    """Checks the directory that the archive's end claims, before zipfile makes objects of it."""
    at = data.rfind(_END, max(0, len(data) - _END_BYTES - _LONGEST_COMMENT))
    if at < 0 or len(data) - at < _END_BYTES:
        raise Unreadable("is a damaged or cut off ZIP archive")
    entries, size = struct.unpack_from("<HI", data, at + 10)
    if data[max(0, at - 20) : at].startswith(_END64_LOCATOR):
        raise Unreadable("is a ZIP archive of a size that documents do not have")
    if entries > MAX_ENTRIES or size > _MAX_DIRECTORY_BYTES:
        raise Unreadable(f"has more than {MAX_ENTRIES:,} files inside")
