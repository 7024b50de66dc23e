from __future__ import annotations

import io
import os
import sys
from typing import Any

import pytest

from agentgw.cli import output
from agentgw.protocol.errors import DaemonUnreachable, LocalError, ModelUnavailable
from tests.client.commandline import talkative as talkative


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda stream: True)


def test_an_error_is_one_line_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    error = ModelUnavailable("no model is\nhere", hint="run:  agentgw pull smollm2:135m")
    assert output.report(error) == 4
    assert capsys.readouterr() == ("", "agentgw: no model is here. run: agentgw pull smollm2:135m\n")


def test_an_error_without_a_hint_ends_with_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.report(LocalError("it broke")) == 1
    assert capsys.readouterr().err == "agentgw: it broke\n"


def test_notes_of_an_error_follow_it(capsys: pytest.CaptureFixture[str]) -> None:
    error = DaemonUnreachable("no daemon")
    error.add_note("the last lines of x:\none\ntwo")
    assert output.report(error) == 3
    assert capsys.readouterr().err == "agentgw: no daemon. see agentgw doctor\nthe last lines of x:\none\ntwo\n"


def test_errors_are_told_even_when_notices_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    output.notice("first")
    output.be_quiet()
    output.notice("second")
    output.report(LocalError("third"))
    assert capsys.readouterr().err == "agentgw: first\nagentgw: third\n"


def test_a_closed_stderr_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, io.TextIOWrapper(io.BytesIO())):
        if stream is not None:
            stream.close()
        monkeypatch.setattr(sys, "stderr", stream)
        assert output.report(LocalError("x")) == 1


HOSTILE = "a\x1b[2J\x07b\tc\r\nd\x9b31m\u202egnp\u2066\x7f"


def test_hostile_text_passes_a_pipe_untouched(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    output.write(HOSTILE)
    output.flush()
    assert capsysbinary.readouterr().out == HOSTILE.encode()


def test_hostile_text_is_escaped_on_a_terminal(capsys: pytest.CaptureFixture[str], on_terminal: None) -> None:
    output.line(HOSTILE)
    output.report(LocalError(HOSTILE))
    shown = capsys.readouterr()
    assert shown.out == "a\\x1b[2J\\x07b\tc\\x0d\nd\\x9b31m\\u202egnp\\u2066\\x7f\n"
    assert not any(code in shown.err for code in "\x1b\x07\x9b\u202e")


def test_ordinary_text_is_left_alone(on_terminal: None) -> None:
    for text in ("plain", "zwei\nZeilen\t", "äöü 漢字 🙂 א", "é", ""):
        assert output.visible(text) == text


def test_a_character_the_locale_lacks_does_not_end_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.line("naïve \ud800")
    assert raw.getvalue() == b"na?ve ?\n"


def test_a_text_ends_in_exactly_one_newline(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("x", "x\n", "x\n\n\n"):
        output.text_block(text)
    assert capsys.readouterr().out == "x\nx\nx\n"


def test_json_is_one_line_and_utf_8_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.json_line({"a": "ä\n", "b": [1, None]})
    assert capsys.readouterr().out == '{"a":"ä\\n","b":[1,null]}\n'


def test_json_is_harmless_on_a_terminal(capsys: pytest.CaptureFixture[str], on_terminal: None) -> None:
    output.json_line({"a": "\x9b\u202e"})
    assert capsys.readouterr().out == '{"a":"\\u009b\\u202e"}\n'


def test_a_listing_shows_everything_that_is_invisible_also_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([("a\u200b\u2800", "b\u202e\xa0c", "x\ny")], ("name\u200b", "value", "text"))
    output.pairs([("title", "d\U000e0041\ufe0f")])
    output.numbers([("e\u3164", 1)])
    output.notice("f\u2028g  h")
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1:] == ["a\\u200b\\u2800  b\\u202e\\xa0c  x y", "title  d\\U000e0041\\ufe0f"]
    assert shown.err == "e\\u3164  1\nagentgw: f\\u2028g h\n"


ROWS: list[tuple[Any, ...]] = [("a", 1, None), ("longer", True, "x " * 60), ("b", ["p", "q"], "two\nlines")]


def test_a_table_is_aligned_and_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(ROWS, ("name", "value", "text"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "NAME    VALUE  TEXT"
    assert lines[1] == "a       1"
    assert lines[2] == "longer  yes    " + ("x " * 60).strip()
    assert lines[3] == "b       p, q   two lines"


def test_a_table_is_cut_to_the_terminal(
    capsys: pytest.CaptureFixture[str], on_terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((30, 24)))
    output.table(ROWS, ("name", "value", "text"))
    lines = capsys.readouterr().out.splitlines()
    # Between two words.
    assert lines[2] == "longer  yes    x x x x x x x…"


@pytest.mark.parametrize("columns", [40, 59])
def test_a_table_without_room_has_the_rest_of_a_row_below_it(
    on_terminal: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((columns, 24)))
    rows = [("a" * 38, "98 MB", None, "finds things"), ("b", "", "mit", "small")]
    output.table(rows, ("name", "size", "licence", "about"), whole=1)
    below = ["a" * 38, "    size 98 MB, finds things", "b", "    licence mit, small"]
    assert capsys.readouterr().out.splitlines() == below
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((80, 24)))
    output.table(rows, ("name", "size", "licence", "about"), whole=1)
    assert capsys.readouterr().out.splitlines()[0].split() == ["NAME", "SIZE", "LICENCE", "ABOUT"]


def test_a_value_that_would_be_parted_stands_below_its_name(
    on_terminal: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((40, 24)))
    output.pairs((("socket", "/home/me/.local/state/agentgw/socks"), ("a longer name", "one two three four five six")))
    assert capsys.readouterr().out == (
        "socket\n    /home/me/.local/state/agentgw/socks\na longer name  one two three four five\n               six\n"
    )


def test_an_empty_table_is_its_headers(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([], ("name", "value"))
    assert capsys.readouterr().out == "NAME  VALUE\n"


def test_rows_of_a_table_that_come_one_by_one_are_aligned_to_either_side_and_cut(
    capsys: pytest.CaptureFixture[str], on_terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((16, 24)))
    output.table_row(("a", 1, "text"), (3, -4, 0))
    output.table_row(("b", None, "longer"), (3, -4, 0))
    assert capsys.readouterr().out == "a       1  text\nb          long…\n"


def test_numbers_are_aligned_on_stderr_unless_unwanted(capsys: pytest.CaptureFixture[str]) -> None:
    output.numbers([("a", 12), ("longer\nname", 3)])
    assert capsys.readouterr() == ("", "a            12\nlonger name   3\n")
    output.numbers([])
    output.be_quiet()
    output.numbers([("a", 1)])
    assert capsys.readouterr() == ("", "")


def test_times_and_shares_are_for_people() -> None:
    assert [output.milliseconds(value) for value in (None, 0.0, 41.6, 999.4, 999.6, 61_234.0)] == [
        "", "0 ms", "42 ms", "999 ms", "1.0 s", "61.2 s",
    ]  # fmt: skip
    assert [output.percent(share) for share in (None, 0, 0.004, 0.01, 0.5, 1.2)] == [
        "", "0%", "<1%", "1%", "50%", "120%",
    ]  # fmt: skip


def test_sizes_are_for_people() -> None:
    assert [output.size(n) for n in (None, 0, 999, 1000, 98_362_432, 999_600, 1_234_000_000, 5 * 10**15)] == [
        "", "0 B", "999 B", "1 kB", "98 MB", "1 MB", "1.2 GB", "5000 TB",
    ]  # fmt: skip


@pytest.fixture
def narrow(on_terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((20, 24)))


@pytest.mark.usefixtures("on_terminal")
def test_a_long_value_goes_on_below_its_beginning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((28, 24)))
    output.pairs([("name", "a value of some words here"), ("other", "报销流程报销 需要提交需要"), ("none", "")])
    assert capsys.readouterr().out == (
        "name   a value of some words\n       here\nother  报销流程报销\n       需要提交需要\nnone\n"
    )


@pytest.mark.usefixtures("narrow")
def test_a_value_without_room_beside_its_name_stands_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    output.pairs([("a-long-name", "a considerable value"), ("short", "fits")])
    assert capsys.readouterr().out == "a-long-name\n    a considerable\n    value\nshort        fits\n"


@pytest.mark.usefixtures("narrow")
def test_notices_are_broken_between_words(capsys: pytest.CaptureFixture[str]) -> None:
    output.notice("a notice that is longer than a line")
    output.report(ModelUnavailable("no model", hint="run `agentgw pull x`"))
    assert capsys.readouterr().err == (
        "agentgw: a notice\nthat is longer than\na line\nagentgw: no model.\n  run `agentgw pull\n  x`\n"
    )


@pytest.mark.usefixtures("narrow")
def test_code_in_a_text_to_read_stays_whole_and_lines_of_ours_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    output.prose("    code of some more words")
    output.own_lines("    line of some more words")
    assert capsys.readouterr().out == "    code of some more words\n    line of some\n    more words\n"


def test_a_pipe_gets_pairs_texts_and_notices_in_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    text = "word " * 40 + "end"
    output.pairs([("name", text)])
    output.prose(text)
    output.own_lines(text)
    output.notice(text)
    assert capsys.readouterr() == (f"name  {text}\n{text}\n{text}\n", f"agentgw: {text}\n")
