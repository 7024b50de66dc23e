"""Text of a result for a model, whatever shape it has."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw_daemon.tools.mcp.mcp_result import NOTHING, failed, result_text


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"content": [{"type": "text", "text": ""}]}, ""),
        ({"content": [{"type": "text", "text": {"a": "ä"}}]}, '{"a": "ä"}'),
        ({"content": [{"type": "text"}]}, "null"),
        ({"content": ["bare", 7]}, "bare\n7"),
        ({"content": "bare"}, "bare"),
        ({"content": {"type": "text", "text": "alone"}}, "alone"),
        ({"content": {"a": 1}, "structuredContent": {"n": 1}}, '{"n": 1}'),
        ({"content": [], "structuredContent": {"n": [1]}}, '{"n": [1]}'),
        ({"structuredContent": {"n": 1}}, '{"n": 1}'),
        ({"toolResult": "old"}, '"old"'),
        ({"content": [{"type": "text", "text": "said"}], "structuredContent": {"n": 1}}, "said"),
        ({"content": [{"type": "image", "data": "AAAA", "mimeType": "a/b"}]}, "[image, a/b, 3 bytes, not shown]"),
        ({"content": [{"type": "audio", "data": "AAAA"}]}, "[audio, of unknown type, 3 bytes, not shown]"),
        ({"content": [{"type": "resource", "resource": {"uri": "u", "text": "t"}}]}, "t"),
        ({"content": [{"type": "resource", "resource": {"uri": "u\x1b", "blob": "AA"}}]}, "[resource u, not shown]"),
        ({"content": [{"type": "resource"}]}, "[resource, not shown]"),
        ({"content": [{"type": "resource_link", "uri": "u", "name": "n"}]}, "[link to the resource u n]"),
        ({"content": [{"type": "video"}, {}]}, "[video, not shown]\n[something, not shown]"),
        ({}, NOTHING),
        ({"content": None}, NOTHING),
        ({"content": []}, NOTHING),
    ],
)  # fmt: skip
def test_what_is_said(result: dict[str, Any], text: str) -> None:
    assert result_text(result) == text


@pytest.mark.parametrize(
    ("said", "is_failure"), [(True, True), (False, False), (None, False), ("true", True), (1, True)]
)
def test_a_failure_is_one_however_it_is_written(said: object, is_failure: bool) -> None:
    assert failed({"isError": said}) is is_failure
    assert failed({}) is False
