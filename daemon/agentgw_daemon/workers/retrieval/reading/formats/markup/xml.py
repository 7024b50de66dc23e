"""XML from inside documents: no entities, no network, no tree. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Protocol

from lxml import etree

from agentgw_daemon.workers.retrieval.reading.values import Unreadable

_FEED_BYTES: Final = 1 << 16
# Declarations that Word and the makers of books never write, and all that XML can be made to hurt with. Old books
# name their type, and declare nothing.
_DECLARES: Final = re.compile(rb"<!(?:ENTITY|ATTLIST|ELEMENT)|<!DOCTYPE[^<>\[]{0,1000}\[", re.IGNORECASE)
_TYPE: Final = re.compile(rb"<!DOCTYPE[^<>\[]{0,1000}>", re.IGNORECASE)
_ENCODING: Final = re.compile(r"<\?xml[^>]{0,200}\?>")
_MARKS: Final = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


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
        shown = {_local(name): value for name, value in attributes.items()}
        if len(shown) < len(attributes):
            # One that has a namespace (a relationship's `r:id`) goes before its namesake without.
            shown |= {_local(name): value for name, value in attributes.items() if name[0] == "{"}
        self._hearer.start(_local(tag), shown)

    def end(self, tag: str) -> None:
        self._hearer.end(_local(tag))

    def data(self, text: str) -> None:
        self._hearer.data(text)

    def close(self) -> None:
        pass


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _in_utf8(data: bytes) -> bytes:
    """The XML, from UTF-16 if it says so; the words of a declaration would not be seen in it."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace")
            return _ENCODING.sub("", text, count=1).encode("utf-8", "replace")
    return data


def hear_xml(data: bytes, hearer: Hearer) -> None:
    """Tells the hearer what is in the XML, as far as it is well-formed. Raises Unreadable."""
    data = _in_utf8(data)
    if b"\0" in data[:1024] or _DECLARES.search(data):
        raise Unreadable("has XML inside that declares entities, as documents do not")
    data = _TYPE.sub(b"", data, count=1)
    parser = etree.XMLParser(target=_Target(hearer), resolve_entities=False, no_network=True, load_dtd=False)
    try:
        for at in range(0, len(data), _FEED_BYTES):
            parser.feed(data[at : at + _FEED_BYTES])
        parser.close()
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"has broken XML inside ({error.msg})") from error
