from __future__ import annotations

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, TextBuilder, title_of


def test_a_heading_replaces_those_of_its_level_and_below() -> None:
    outline = Outline("Book")
    assert outline.enter(1, "One") == ("Book", "One")
    assert outline.enter(3, "Deep") == ("Book", "One", "Deep")
    assert outline.enter(2, "Less deep") == ("Book", "One", "Less deep")
    assert outline.enter(1, "Two") == outline.path == ("Book", "Two")
    assert outline.first == "One"


def test_a_document_that_begins_with_its_title_has_it_once() -> None:
    assert Outline("Book").enter(1, "Book") == ("Book",)


def test_a_heading_without_words_has_no_place_in_a_path() -> None:
    outline = Outline()
    outline.enter(1, "One")
    assert outline.enter(2, " \n ") == ("One",)


def test_a_new_part_begins_below_other_titles() -> None:
    outline = Outline("a")
    outline.enter(1, "b")
    outline.restart("c", "", "d")
    assert outline.path == ("c", "d")


def test_titles_are_one_line_of_a_length_to_show() -> None:
    assert title_of("  a\n\tb ") == "a b"
    assert title_of("x" * 1000) == "x" * 79 + "…"


def test_blocks_stand_in_the_text_with_a_blank_line_between() -> None:
    builder = TextBuilder()
    for kind, text in (("heading", "Title"), ("prose", " words \n"), ("prose", " \n "), ("whole", "\n  code\n")):
        builder.add(kind, text, ())  # type: ignore[arg-type]  # the literals' type is lost in the tuple
    section = builder.take()
    assert section.text.text == "Title\n\nwords\n\n  code"
    assert [section.text.text[block.start : block.end] for block in section.blocks] == ["Title", "words", "  code"]
    assert builder.take().text.text == ""


def test_what_a_parser_gives_that_is_no_character_is_replaced() -> None:
    builder = TextBuilder()
    builder.add("prose", "a\ud83db", ())
    section = builder.take()
    assert section.text.text == "a\ufffdb"
    assert section.text.size(0, 3) == 5
