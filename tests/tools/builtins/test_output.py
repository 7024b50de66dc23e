"""The beginning and the end of what a program wrote."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.tools.builtins.output import HEAD_BYTES, TAIL_BYTES, HeadAndTail


def test_little_is_kept_whole() -> None:
    output = HeadAndTail()
    output.add("grü".encode()[:3])
    output.add("grü".encode()[3:] + b"n\xff")
    assert output.text() == "grün\ufffd"


@given(st.lists(st.integers(1, 3 * TAIL_BYTES), max_size=12))
def test_of_much_both_ends_are_kept(sizes: list[int]) -> None:
    output, whole = HeadAndTail(), bytearray()
    for number, size in enumerate(sizes):
        piece = bytes([65 + number]) * size
        output.add(piece)
        whole += piece
    text = output.text()
    missing = len(whole) - HEAD_BYTES - TAIL_BYTES
    if missing <= 0:
        assert text == whole.decode()
    else:
        head, tail = whole[:HEAD_BYTES].decode(), whole[-TAIL_BYTES:].decode()
        assert text == f"{head}\n[{missing} bytes left out]\n{tail}"
