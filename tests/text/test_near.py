from __future__ import annotations

from agentgw_daemon.text.near import hint_for


def test_the_nearest_name_is_offered() -> None:
    assert hint_for("read_fil", ["write_file", "read_file"], "see a list") == "did you mean read_file?"


def test_where_none_is_like_it_the_other_hint_stays() -> None:
    assert hint_for("zzz", ["write_file"], "see a list") == "see a list"
    assert hint_for("", [], "see a list") == "see a list"


def test_a_name_without_end_is_compared_by_its_beginning() -> None:
    assert hint_for("read_file" + "x" * 1_000_000, ["read_file"], "see a list") == "see a list"


def test_a_part_of_a_name_will_do_and_the_case_is_nothing() -> None:
    skills = ["general-assistant", "code-assistant", "summarize-document"]
    assert hint_for("General", skills, "see a list") == "did you mean general-assistant?"
    assert hint_for("SUMMARIZE-DOCUMENTS", skills, "see a list") == "did you mean summarize-document?"
    assert hint_for("assistant", skills, "see a list") == "did you mean general-assistant or code-assistant?"
    assert hint_for("ass", [f"class-{number}" for number in range(9)], "x").count("class") == 3
    # Two letters are a part of too many names.
    assert hint_for("as", skills, "see a list") == "see a list"
