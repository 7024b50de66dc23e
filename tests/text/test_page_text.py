"""Text of pages, also of those made to hurt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.text.page_text import page_text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            "<html><head><title>T</title><style>x{}</style></head><body><h1>A</h1><p>b <b>c</b>\n d</p></body>",
            "T\nA\nb c\nd",
        ),
        ("<p>1 &lt; 2 &amp; &eacute;&#233;&#xe9;</p>", "1 < 2 & ééé"),
        ("a<script>if (1 < 2) { '</p>' }</script>b", "a b"),
        ("a<SCRIPT src=x></Script >b", "a b"),
        ("a<!-- <p>no</p> -->b<!doctype html>c<?xml?>d", "abcd"),
        ("<ul><li>x<li>y</ul><table><tr><td>1<td>2<tr><td>3</table>", "x\ny\n1 2\n3"),
        ("1 < 2 and <3", "1 < 2 and <3"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("a<svg/>b", "ab"),
        ("a<script>never ends", "a"),
        ("a<!-- never ends", "a"),
        ("a<p never ends", "a"),
        ("&#99999999999999999999;&#" + "9" * 10_000 + ";", "\ufffd\ufffd"),
        ("İ<script>x</script>İ", "İ İ"),
        ("", ""),
    ],
)
def test_text_of_a_page(page: str, text: str) -> None:
    assert page_text(page) == text


@given(st.text(alphabet="<>!-/ =\"'&;#abscriptABC\n", max_size=300))
def test_any_mess_gives_text(page: str) -> None:
    assert isinstance(page_text(page), str)


@pytest.mark.parametrize(
    "part", ["<", "<a", "<!--", "</", "<script>", "<script></script", "<![CDATA[", "&", "&#", "\n ", "<p>"]
)
def test_a_page_of_one_thing_again_and_again_takes_no_time(part: str) -> None:
    # Quadratic time would be hours.
    assert len(page_text(part * 500_000)) <= len(part) * 500_000
