from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.storage.words.folding import tokens
from agentgw_daemon.storage.words.terms import Name, countable, terms_of


def _matches(query: str) -> list[str]:
    return [term.match for term in terms_of(query).terms]


def _quoted(query: str) -> list[str]:
    return [term.text for term in terms_of(query).phrases]


def _names(query: str) -> list[str]:
    return [name.text for name in terms_of(query).names]


@pytest.mark.parametrize(
    "query",
    [
        '"fine manual" x',
        "“fine manual” x",
        "„fine manual“ x",
        "«fine manual» x",
        "「fine manual」 x",
        "『fine manual』x",
        "《fine manual》x",
        "‘fine manual’ x",
        "'fine manual' x",
        "‚fine manual‘ x",
        "‹fine manual› x",
        "›fine manual‹ x",
        "＂fine manual＂ x",
    ],
)
def test_what_stands_in_quotes_of_any_kind_is_a_phrase(query: str) -> None:
    assert _quoted(query) == ["fine manual"]
    assert _matches(query) == ['"fine manual"', '"x"']


@pytest.mark.parametrize(
    "query",
    [
        "the dogs' and the cats' food",
        "rock 'n' roll",
        "the '90s and the '80s",
        "a 'word' alone",
        "‘open",
        "dogs’ cats’",
        'say "hi you',
        '5" disk',
        'no"w',
        "“open",
        "closed”",
        "“",
        '""',
        '" "',
        "it's o'clock",
    ],
)
def test_a_quote_without_its_other_one_is_none(query: str) -> None:
    assert not _quoted(query)


def test_an_apostrophe_closes_no_quote() -> None:
    assert _quoted("‘don’t panic’ and 'it's all right' then") == ["don’t panic", "it's all right"]


@pytest.mark.parametrize("text", ["'a ", "‘a ", "'a'a", "' a", "‚a", "a b'"])
def test_quotes_are_looked_for_in_time_in_proportion(text: str) -> None:
    assert terms_of(text * 20_000) is not None


def test_of_quotes_that_open_the_last_counts() -> None:
    assert _quoted("«««fine manual» x") == ["fine manual"]
    assert _quoted("“““““") == []


@pytest.mark.parametrize(
    "name",
    [
        "HashKnownHosts", "4711-AB/2026", "C++17", "C++", "C#", "--no-verify", "-v", "ERR_X509", "192.168.0.1",
        "foo_bar", "foo_bar.baz()", "::1", "foo::bar", "C:\\Windows", "a||b", "${HOME}", "*.txt", "file:///tmp",
        "HTTPServer", "CVE-2021-44228", "v1.2.3-rc1", "#1234", "§12",
        ".bashrc", "std::vector<int>", "$HOME/.config", "foo()", "a@b.org", "2026-11-28", "utf8",
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}", "what is {}?", "use ({}), please", "is `{}` good"])
def test_names_are_told_from_words(name: str, around: str) -> None:
    assert _names(around.format(name)) == [name]


_ORDINARY = [
    "how do bees talk?", "the well-known ports", "don't it's e-mail", "HOW DO BEES TALK", "e.g. this", "10 tips",
    "an API for input/output", "PDFs and URLs", "well wait...what now", "at 5 a.m. in the U.S.A",
]  # fmt: skip


@pytest.mark.parametrize("query", _ORDINARY)
def test_ordinary_words_are_no_names(query: str) -> None:
    assert _names(query) == []


def test_the_number_of_a_paragraph_is_a_name_with_its_sign() -> None:
    assert _names("was steht in § 12 BGB?") == ["§12"]
    assert [name.match for name in terms_of("§\u00a012").names] == ['("12" AND marks : ("§12"))']


def test_what_is_asked_for_alone_is_a_name() -> None:
    assert _names("bees") == ["bees"]
    assert _names("报销？") == ["报销"]
    assert _names("a.b.c") == ["a.b.c"]


def test_what_is_longer_than_any_name_is_none() -> None:
    assert _names("(" * 600) == []
    assert _names(f"what is x_{'y' * 600}") == []


def test_a_name_is_in_a_text_as_a_whole() -> None:
    address = Name(text="192.168.0.1", match="")
    assert address.is_in("at 192.168.0.1.")
    assert not address.is_in("192.168.0.10 1192.168.0.1")
    assert not Name(text="foo", match="").is_in("foo_bar afoo")
    assert Name(text="--no-verify", match="").is_in("[--no-verify]")
    assert Name(text="报销", match="").is_in("公司报销流程")


@pytest.mark.parametrize(
    ("query", "alone"),
    [
        ("猫の餌", ["猫", "餌"]), ("庭の水道", ["庭"]), ("私は本を読む", ["私", "本", "読"]), ("歯医者はどこ", []),
        ("猫粮", []), ("ねこ", []),
    ],
)  # fmt: skip
def test_a_word_of_one_character_is_found_before_another_particle(query: str, alone: list[str]) -> None:
    assert [term.words[0] for term in terms_of(query).terms if term.beginning] == alone


def test_a_script_without_spaces_is_looked_for_in_pieces() -> None:
    assert _matches("报销流程？") == ['"报销"', '"销流"', '"流程"']
    assert _matches("报") == ['"报" *']
    assert _matches("เบิกค่า") == ['"เบิ"', '"บิก"', '"ิกค"', '"กค่"', '"ค่า"']
    assert _matches('"東京 tower"') == ['"東京 京 tower"']
    assert _matches('"第3章"') == ['"第 3 章" *']


def test_what_takes_long_to_be_looked_for_is_cut() -> None:
    def words(query: str) -> int:
        terms = terms_of(query)
        phrased = sum(len(term.words) for term in terms.terms if len(term.words) > 1)
        return phrased + sum(name.match.count(" ") for name in terms.names)

    assert words('"' + "of the " * 1_000 + '"') == 128
    assert words("a+" * 2_000) == 128
    assert words(" ".join("a+" * 100 for _ in range(40))) < 1_000
    assert words(" ".join(f"{n}_{n}" for n in range(1_000))) < 1_000
    beginnings = [term.beginning for term in terms_of(" ".join(f"{letter}x*" for letter in "abcdefghijklmnop")).terms]
    assert beginnings == [True] * 8 + [False] * 8
    assert terms_of('"' + "of the " * 1_000 + '"').phrases


def test_stop_words_are_left_out_where_there_are_others() -> None:
    assert _matches("how do the bees talk to each other") == ['"bees"', '"talk"', '"each"', '"other"']
    assert _matches("Wer ist der König von Preußen?") == ['"konig"', '"preussen"']
    assert _matches("to be or not to be") == ['"to"', '"be"', '"or"', '"not"']
    assert _matches('"to be" that is') == ['"to be"']


def test_terms_are_counted_in_texts_as_the_index_sees_them() -> None:
    def count(query: str, text: str) -> int:
        (term,) = terms_of(query).terms
        return countable(tokens(text)).count(term.counted)

    assert count("b", "b B b\u0301 ab") == 3
    assert count('"a b"', "a b a-B ab") == 2
    assert count("wor*", "word world awor") == 2
    assert count("東京", "東京都東京") == 2
    assert count("都", "東京都東京") == 1
    assert terms_of("x X x").terms == terms_of("x").terms


@given(st.text(max_size=80))
def test_any_text_has_terms_that_can_be_looked_for(query: str) -> None:
    for term in terms_of(query).terms:
        assert term.words
        assert term.match.count('"') == 2
    assert len(terms_of("x " * 500 + " ".join(f"w{n}" for n in range(500))).terms) == 64
