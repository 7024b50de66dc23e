from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.search import to_match, to_terms
from tests.storage.direct import Direct, run, talk


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Direct:
    store = DatabaseFiles(tmp_path_factory.mktemp("search"), "WAL")
    store.open()
    made = Direct(store)
    talk(made, "How do I bake sourdough bread?", "Feed the starter, then knead the dough.")
    talk(made, "Where is the café?", "Übermorgen in Zürich: C++ and foo-bar AND NOT (this).")
    talk(made, "bread bread bread", "Bread it is.")
    return made


def _found(direct: Direct, query: str) -> set[str]:
    return {hit.snippet for hit in run(direct.sessions.search(query))}


def test_a_hit_shows_its_words_and_its_session(direct: Direct) -> None:
    (hit,) = run(direct.sessions.search("sourdough bake"))
    assert hit.snippet == "How do I «bake» «sourdough» bread?"
    assert hit.role == "user"
    assert hit.title == "How do I bake sourdough bread?"


def test_all_words_must_occur(direct: Direct) -> None:
    assert _found(direct, "bread sourdough")
    assert not _found(direct, "bread zürich")


def test_the_best_match_comes_first_and_the_limit_holds(direct: Direct) -> None:
    hits = run(direct.sessions.search("bread"))
    assert len(hits) == 3
    assert hits[0].snippet == "«bread» «bread» «bread»"
    assert run(direct.sessions.search("bread", limit=1)) == hits[:1]


def test_of_endless_phrases_the_first_words_are_looked_for(direct: Direct) -> None:
    assert _found(direct, '"feed the starter"')
    (phrase, word) = to_terms('"' + "a b_" * 2_000 + '" c')
    assert (len(phrase.split()), word) == (65, "c")
    assert sum(term.count("+") for term in to_terms(" ".join("x+" * 50 for _ in range(40)))) < 200


@pytest.mark.parametrize("query", ["cafe", "CAFÉ", "ubermorgen", "foo-bar", "C++", "(this)", '"knead"', "AND NOT"])
def test_case_accents_and_punctuation_do_not_hide_a_message(direct: Direct, query: str) -> None:
    assert len(_found(direct, query)) == 1


@pytest.mark.parametrize(
    "query",
    [
        " ", "", "🙂", "\u202e", "﷽" * 100, "x " * 500, "a" * 1000, "\0", 'a\0"', "a\0b", "\x1b[2J", '"',
        '""', '"a', "a*", "*", "^a", "a:b", "content:a", "NEAR(a b)", "NEAR(", "(", ")", "a AND", "OR", "NOT", "-a",
        "+", "\\", "'", ";", "--", "{a b}:c",
    ],
)  # fmt: skip
def test_no_query_is_a_syntax_error(direct: Direct, query: str) -> None:
    run(direct.sessions.search(query))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_no_text_is_a_syntax_error(direct: Direct, query: str) -> None:
    run(direct.sessions.search(query))


def test_words_are_quoted_and_bounded() -> None:
    assert to_match(to_terms('say "hi you" no"w')) == '"say" "hi you" "no""w"'
    assert to_terms("“hi you” «no one» z") == to_terms('"hi you" "no one" z')
    assert to_match(to_terms("sock* * C* **")) == '"sock"* "*" "C"* "**"'
    assert len(to_terms("x " * 500)) == 64


def test_words_in_quotes_are_a_phrase(direct: Direct) -> None:
    assert _found(direct, '"sourdough bread"')
    assert not _found(direct, '"bread sourdough"')
    assert len(_found(direct, 'knead "the starter"')) == 1


def test_a_star_stands_for_the_rest_of_a_word(direct: Direct) -> None:
    assert not _found(direct, "sourd")
    assert _found(direct, "sourd*") == {"How do I bake «sourdough» bread?"}


def test_scripts_without_spaces_are_found_inside_a_sentence(direct: Direct) -> None:
    talk(direct, "明日の東京の天気はどうですか", "Das 天気 in Tokyo: 晴れ。" + "長" * 100)
    assert _found(direct, "天気 東京") == {"明日の«東京»の«天気»はどうですか"}
    assert _found(direct, "天気 tokyo") == {"Das 天気 in «Tokyo»: 晴れ。" + "長" * 100}
    assert {snippet for snippet in _found(direct, "晴れ") if snippet.endswith("長…")}
    assert not _found(direct, "大阪")


def test_the_index_follows_deletion(tmp_path: Path) -> None:
    store = DatabaseFiles(tmp_path / "data", "WAL")
    store.open()
    direct = Direct(store)
    started = talk(direct, "ephemeral words", "gone soon")
    assert run(direct.sessions.search("ephemeral"))
    run(direct.sessions.delete(started.turn.session_id))
    assert not run(direct.sessions.search("ephemeral"))
    assert not run(direct.sessions.search("soon"))
    store.close()
