from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from agentgw.cli.records.journal import AnswerJournal
from agentgw.protocol.errors import AlreadyRunning, UsageError

TERMS: dict[str, Any] = {"template": "{}", "model": "echo"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def answered(path: Path, *numbers: int) -> None:
    with AnswerJournal(str(path), TERMS) as journal:
        for number in numbers:
            journal.keep(number, f"q{number}", f"answer\n{number}")


def test_answers_come_back_in_whatever_order_they_were_kept(path: Path) -> None:
    answered(path, 3, 1)
    answered(path, 7, 2)
    with AnswerJournal(str(path), TERMS) as journal:
        found = [journal.answer_to(number, f"q{number}") for number in range(9)]
    assert found == [None, "answer\n1", "answer\n2", "answer\n3", None, None, None, "answer\n7", None]


def test_another_question_about_the_record_has_no_answer_yet(path: Path) -> None:
    answered(path, 1)
    with AnswerJournal(str(path), TERMS) as journal:
        assert journal.answer_to(1, "another") is None
        journal.keep(1, "another", "new")
    with AnswerJournal(str(path), TERMS) as journal:
        assert journal.answer_to(1, "another") == "new"


def test_an_answer_is_in_the_file_before_the_next_is_asked_for(path: Path) -> None:
    with AnswerJournal(str(path), TERMS) as journal:
        journal.keep(1, "q1", "yes")
        assert b'"yes"' in path.read_bytes()


def test_the_file_is_for_the_user_alone(path: Path) -> None:
    answered(path, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("cut", range(1, 60))
def test_what_a_kill_cut_off_is_asked_for_again(path: Path, cut: int) -> None:
    answered(path, 1, 2)
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    with AnswerJournal(str(path), TERMS) as journal:
        assert journal.answer_to(1, "q1") == "answer\n1"
        assert journal.answer_to(2, "q2") is None
        journal.keep(2, "q2", "again")
    assert path.read_bytes().count(b"\n") == 3


def test_a_first_line_that_was_cut_off_is_written_again(path: Path) -> None:
    answered(path)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        answered(path)
        assert path.read_bytes() == data


def test_a_file_of_another_map_is_refused_and_kept(path: Path) -> None:
    answered(path, 1)
    data = path.read_bytes()
    with pytest.raises(UsageError, match="of another map"):
        AnswerJournal(str(path), {**TERMS, "model": "other"})
    assert path.read_bytes() == data


@pytest.mark.parametrize("data", [b"my notes\n", b"my notes", b"{}\n", b"[1]\n", b"\xff\n", b"{" * 70_000])
def test_a_file_of_something_else_is_refused_and_kept(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(UsageError, match="no file of --resume"):
        AnswerJournal(str(path), TERMS)
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense", b'{"n": 1}', b'{"n": "1", "question": "", "answer": ""}', b"[]",
        b'{"n":-1,"question":"","answer":""}',
        b'{"n":1000000000000,"question":"","answer":""}', b"[" * 100_000, b"\xff",
    ],
)  # fmt: skip
def test_damage_is_named_by_its_line(path: Path, line: bytes) -> None:
    answered(path, 1)
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(UsageError, match="damaged: line 3"):
        AnswerJournal(str(path), TERMS)


def test_two_at_once_are_refused(path: Path) -> None:
    with AnswerJournal(str(path), TERMS), pytest.raises(AlreadyRunning, match="another map uses"):
        AnswerJournal(str(path), TERMS)
    answered(path, 1)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for name in (os.devnull, str(tmp_path), str(tmp_path / "no" / "file"), "a\0b"):
        with pytest.raises(UsageError):
            AnswerJournal(name, TERMS)


@pytest.mark.parametrize(("descriptor", "stream"), [(0, "input"), (1, "output"), (2, "error")])
def test_a_standard_stream_is_refused_and_kept(
    path: Path, descriptor: int, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(path, 1)
    data, look = path.read_bytes(), os.fstat
    monkeypatch.setattr(os, "fstat", lambda file: os.stat(path) if file == descriptor else look(file))
    with pytest.raises(UsageError, match=f"is standard {stream} already"):
        AnswerJournal(str(path), TERMS)
    assert path.read_bytes() == data
