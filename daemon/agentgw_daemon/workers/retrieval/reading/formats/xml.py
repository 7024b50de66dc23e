"""XML from inside documents: no entities, no network, no tree. Does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from lxml import etree

from agentgw_daemon.workers.retrieval.reading.values import Unreadable

_FEED_BYTES: Final = 1 << 16
# Declarations that Word and the makers of books never write, and all that XML can be made to hurt with.
_TYPE_DECLARATION: Final = (b"<!ENTITY", b"<!DOCTYPE")


class Hearer(Protocol):
    """Receiver of the elements; names without their namespace."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins; its attributes by names without namespace."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def data(self, text: str) -> None:
        """Text."""


class _Target:
    def __init__(self, hearer: Hearer) -> None:
        self._hearer: Final = hearer

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._hearer.start(_local(tag), {_local(name): value for name, value in attributes.items()})

    def end(self, tag: str) -> None:
        self._hearer.end(_local(tag))

    def data(self, text: str) -> None:
        self._hearer.data(text)

    def close(self) -> None:
        pass


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def hear_xml(data: bytes, hearer: Hearer) -> None:
    """Tells the hearer what is in the XML, as far as it is well-formed. Raises Unreadable."""
    # In UTF-16 the words of a declaration would not be seen.
    if b"\0" in data[:1024] or any(word in data for word in _TYPE_DECLARATION):
        raise Unreadable("has XML inside that declares entities, as documents do not")
    parser = etree.XMLParser(target=_Target(hearer), resolve_entities=False, no_network=True, load_dtd=False)
    try:
        for at in range(0, len(data), _FEED_BYTES):
            parser.feed(data[at : at + _FEED_BYTES])
        parser.close()
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"has broken XML inside ({error.msg})") from error
