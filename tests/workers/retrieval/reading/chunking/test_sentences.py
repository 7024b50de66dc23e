from __future__ import annotations

import pytest

from agentgw_daemon.workers.retrieval.reading.chunking.sentences import sentences, trimmed


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("He said “Go.” Then he\nwent.", ["He said “Go.”", "Then he\nwent."]),
        ("See e.g. Dr. J. Smith, p. 4, or Fig. 2.", ["See e.g. Dr. J. Smith, p. 4, or Fig. 2."]),
        ("It costs 3.50 today. not more", ["It costs 3.50 today. not more"]),
        ("今日は。いい天気！「はい。」次。", ["今日は。", "いい天気！", "「はい。」", "次。"]),
        ("Do:\n- one\n- two\n1. three\n2) four", ["Do:", "- one", "- two", "1. three", "2) four"]),
        ("One\n\nTwo", ["One", "Two"]),
        ("Dr.\n\nNo", ["Dr.", "No"]),
        ("  \n ", []),
        ("", []),
        ("...", ["..."]),
    ],
)
def test_text_is_cut_between_sentences(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_only_what_is_between_the_places_counts() -> None:
    assert list(sentences("One. Two. Three.", 5, 9)) == [(5, 9)]
    assert trimmed("a  b", 1, 3) is None
    assert trimmed(" ab ", 0, 4) == (1, 3)
