from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.knowledge.search import snippets
from agentgw_daemon.knowledge.search.snippets import LENGTH, snippet
from agentgw_daemon.storage.words.terms import terms_of

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="«»…"), max_size=600)


def _snippet(text: str, query: str, length: int = LENGTH) -> str:
    return snippet(text, terms_of(query), length)


def test_words_are_marked_whatever_their_case_and_accents() -> None:
    assert _snippet("Das Café in Zürich.", "CAFE zurich") == "Das «Café» in «Zürich»."
    assert _snippet("one two", "three") == "one two"


def test_beginnings_phrases_and_scripts_without_spaces_are_marked() -> None:
    assert _snippet("sourdough bread", "sour*") == "«sourdough» bread"
    assert _snippet("read the fine manual", '"fine manual"') == "read the «fine» «manual»"
    assert _snippet("the fine; a manual", '"fine manual"') == "the fine; a manual"
    assert _snippet("foo-bar baz bar", "foo-bar") == "«foo-bar» baz bar"
    assert _snippet("run git --no-verify", "--no-verify") == "run git «--no-verify»"
    assert _snippet("公司报销流程", "报销？") == "公司«报销»流程"
    assert _snippet("明日の東京の天気", "東京") == "明日の«東京»の天気"


def test_stop_words_are_not_marked() -> None:
    assert _snippet("the bees do talk to the others", "how do the bees talk?") == "the «bees» do «talk» to the others"


def test_the_part_with_the_most_words_is_shown_cut_at_spaces() -> None:
    text = f"alpha {'filler ' * 60}alpha beta gamma {'filler ' * 60}"
    shown = _snippet(text, "alpha beta gamma", 80)
    assert "«alpha» «beta» «gamma»" in shown
    assert shown.startswith("…filler")
    assert shown.endswith("filler…")
    assert len(shown) <= 80 + len("«»" * 3 + "……")


def test_without_a_match_the_beginning_is_shown() -> None:
    assert _snippet("word " * 100, "nothing", 20) == "word word word word…"


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "filler"]), min_size=10, max_size=120))
def test_it_begins_at_the_first_place_that_shows_the_most_different_words(words: list[str]) -> None:
    text, length = " ".join(words), 40
    marks = [found.span() for found in re.finditer("alpha|beta|gamma", text)]
    begins = [max(0, start - length // 4) for start, _ in marks]
    shown = [
        len({text[start:end] for start, end in marks[at:] if end <= begin + length}) for at, begin in enumerate(begins)
    ]
    first = begins[shown.index(max(shown))] if marks and len(text) > length else 0
    assert snippets._start(text, marks, length) == min(first, max(0, len(text) - length))


@given(_TEXT, st.text(max_size=40))
def test_any_text_gives_a_part_of_itself(text: str, query: str) -> None:
    shown = _snippet(text, query, 50)
    plain = shown.replace("«", "").replace("»", "").strip("…")
    assert plain in text
    assert len(plain) <= 50
    assert shown.count("«") == shown.count("»")
