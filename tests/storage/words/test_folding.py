from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.storage.words import folding
from agentgw_daemon.storage.words.folding import fold, marked, name_tokens, tokens, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Café CAFÉ cafe\u0301", ["cafe"] * 3),
        ("Straße STRASSE", ["strasse"] * 2),
        ("ＡＢＣ１２３ ｶﾞ ガ", ["abc123", "ガ", "ガ"]),
        ("Łódź øre œuvre Æther ısı", ["lodz", "ore", "oeuvre", "aether", "isi"]),
        ("eﬃcient re\u00adport co\u200bop", ["efficient", "report", "coop"]),
        ("ΣΟΦΟΣ σοφος", ["σοφοσ"] * 2),
        ("ёлка йод", ["елка", "иод"]),
        ("مُحَمَّد ٣٤ ــا", ["محمد", "34", "ا"]),
        ("کتاب كتاب على علی مدرسة مدرسه ٱلله الله", ["كتاب"] * 2 + ["علي"] * 2 + ["مدرسه"] * 2 + ["الله"] * 2),
        ("שָׁלוֹם שלום", ["שלום"] * 2),
        ("हिन्दी हिंदी में", ["हिंदी", "हिंदी", "में"]),
        ("सम्बन्ध संबंध चाँद चांद फ़िल्म फिल्म", ["संबंध"] * 2 + ["चांद"] * 2 + ["फिल्म"] * 2),
        ("İstanbul ISPARTA ısparta", ["istanbul", "isparta", "isparta"]),
        ("Đường duong Nguyễn NGUYEN", ["duong"] * 2 + ["nguyen"] * 2),
        ("Hawaiʻi hawai'i", ["hawai", "i"] * 2),
        ("foo_bar, it's C++17", ["foo", "bar", "it", "s", "c", "17"]),
        ("a\0b 🙂", ["a", "b"]),
    ],
)
def test_what_a_reader_takes_for_alike_is_alike(text: str, words: list[str]) -> None:
    assert tokens(text) == words


def test_scripts_without_spaces_are_cut_at_every_place() -> None:
    assert tokens("报销流程？") == ["报销", "销流", "流程", "程"]
    assert tokens("第3章 ガイド") == ["第", "3", "章", "ガイ", "イド", "ド"]
    assert tokens("สวัสดี") == ["สวั", "วัส", "ัสด", "สดี", "ดี", "ี"]
    assert tokens("ខ្មែរ။ ລາວ") == ["ខ្ម", "្មែ", "មែរ", "ែរ", "រ", "ລາວ", "າວ", "ວ"]
    assert tokens("ꦧꦱꦗꦮ") == ["ꦧꦱꦗ", "ꦱꦗꦮ", "ꦗꦮ", "ꦮ"]
    assert tokens("경비는") == ["경비", "비는", "는"]


@given(st.text(st.characters(codec="ascii"), max_size=60) | st.text(max_size=60))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(st.characters(categories=["L", "N", "Zs", "P", "Mn"]), max_size=60) | st.text(max_size=60))
def test_words_are_found_again_in_the_text_as_it_is_written(text: str) -> None:
    placed = list(words_of(text))
    assert all(0 <= start < end <= len(text) for _, start, end in placed)
    assert [start for _, start, _ in placed] == sorted(start for _, start, _ in placed)


@pytest.mark.parametrize("mark", ["\u0301", "\u200d", "\u3099"])
def test_thousands_of_marks_on_a_character_are_folded_one_by_one(monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    text, folded = "か" + mark * 2_000, 0

    def counting(some: str) -> str:
        nonlocal folded
        folded += len(some)
        return fold(some)

    monkeypatch.setattr(folding, "fold", counting)
    assert next(words_of(text))[0][0] in "かが"
    assert folded < 8 * len(text)


def test_places_are_those_of_the_text_as_it_is_written() -> None:
    assert list(words_of("Le Straße")) == [("le", 0, 2), ("strasse", 3, 9)]
    assert list(words_of("ｶﾞｲ.")) == [("ガイ", 0, 3), ("イ", 2, 3)]


def test_signs_make_other_words_where_they_are_no_hyphens() -> None:
    assert marked("git commit --no-verify") == ["--no"]
    assert marked("~/.bashrc $HOME [-v] @me") == [".bashrc", "$home", "-v", "@me"]
    assert marked("C++17 and C# at 10%") == ["c++", "c#", "10%"]
    assert marked("nach § 12, §\u00a013 und §§ 14 ff.") == ["§12", "§13", "§14"]
    assert marked("well-known ports. and foo.bar, a/b, x--y") == []


def test_a_file_is_called_its_words_and_their_parts() -> None:
    assert name_tokens("/home/me/Bericht 2026.pdf") == ["bericht", "2026", "pdf", "bericht2026", "2026pdf"]
    assert name_tokens("MyReport2.md")[:6] == ["myreport2", "md", "my", "report", "2", "md"]
    assert name_tokens("https://example.org/guide/") == ["guide"]
    assert name_tokens("报销.txt")[:2] == ["报销", "销"]


@pytest.mark.parametrize(
    ("name", "has", "lacks"),
    [
        ("Rechnung_Müller_März.txt", {"muller", "mueller", "marz", "maerz"}, set()),
        ("U\u0308bersicht.txt", {"ubersicht", "uebersicht"}, set()),
        ("Mueller Maerz.txt", {"mueller", "muller", "maerz", "marz"}, set()),
        ("Bauer, queue, blue.txt", {"bauer", "queue", "blue"}, {"baur", "quue", "blu"}),
        ("brød-æble-år.txt", {"brod", "broed", "aeble", "aar", "ar"}, set()),
        ("garten-plan-süd.txt", {"garten", "plan", "gartenplan", "plansud"}, {"gartenplansud"}),
        ("BackupPlanNorth.md", {"backupplannorth", "backupplan", "plannorth"}, set()),
        ("会议-记录.txt", {"会议"}, {"会议记录", "议记录"}),
        ("a" * 200 + " b" * 2_000, {"b", "bb"}, set()),
    ],
)
def test_a_file_is_called_as_it_may_be_typed(name: str, has: set[str], lacks: set[str]) -> None:
    words = set(name_tokens(name))
    assert has <= words
    assert not lacks & words
