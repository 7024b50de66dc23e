"""Messages of the retrieval wire as lines."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.workers.protocol import codec
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.lines import WireError

EMBEDDER = wire.Embedder(name="n", id="i", dim=2, max_tokens=8, gguf="/g")
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates included


@given(texts=st.lists(TEXTS).map(tuple), request_id=st.integers(0, 1 << 40))
def test_any_text_crosses_the_wire(texts: tuple[str, ...], request_id: int) -> None:
    sent = wire.Embed(embedder=EMBEDDER, texts=texts)
    line = codec.encode(request_id, sent)
    assert line.count(b"\n") == 1
    assert codec.decode(line) == (request_id, sent)


@given(st.binary())
def test_bytes_cross_the_wire(data: bytes) -> None:
    sent = wire.Embedded(dim=1, vectors=data)
    assert codec.decode(codec.encode(1, sent)) == (1, sent)


def test_records_within_messages_are_made_again() -> None:
    piece = wire.DocumentChunk(
        text="t", title_path="a > b", first_line=1, last_line=2, first_byte=0, last_byte=3, tokens=1
    )
    assert codec.decode(codec.encode(2, wire.Pieces(pieces=(piece, piece)))) == (2, wire.Pieces(pieces=(piece, piece)))


@codec.message
class Rich(codec.WireMessage):
    """Every kind of field there is."""

    maybe: wire.Embedder | None
    blobs: tuple[bytes, ...]
    numbers: tuple[float, ...] = ()
    table: dict[str, int] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    "sent",
    [Rich(maybe=None, blobs=()), Rich(maybe=EMBEDDER, blobs=(b"\0\xff", b""), numbers=(1.5, 2.0), table={"a": 1})],
)
def test_every_kind_of_field_crosses_the_wire(sent: Rich) -> None:
    assert codec.decode(codec.encode(3, sent)) == (3, sent)


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"[]",
        b'[1,"Nothing",{}]',
        b'[1,"Embedded",{"dim":1}]',
        b'[1,"Embedded",{"dim":1,"vectors":"!"}]',
        b'[1,"Warmed",{"more":1}]',
        b'["1","Warmed",{}]',
        b'[true,"Warmed",{}]',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_anything_else_is_no_message(line: bytes) -> None:
    with pytest.raises(WireError):
        codec.decode(line)


def test_two_messages_cannot_have_one_name() -> None:
    with pytest.raises(TypeError, match="Warmed"):
        codec.message(type("Warmed", (codec.WireMessage,), {}))
