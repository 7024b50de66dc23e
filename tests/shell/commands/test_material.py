"""Commands about documents and tools."""

from __future__ import annotations

import json

import pytest

from agentgw.protocol.errors import NotFound, UsageError
from agentgw_shell.commands.material import run_command
from tests.shell.commands.chatting import ScriptedChat

CHUNK = {"source": "/a.md", "lines": [3, 9], "title_path": "Boats", "text": "The Ida\nlies here."}
TOLD = "[1] /a.md:3-9 Boats\n    The Ida lies here.\n"


class TestSources:
    def test_those_of_the_last_answer_are_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        ScriptedChat(answer="x", session="s-1", sources=(CHUNK,)).do("/sources")
        assert capsys.readouterr().out == TOLD

    def test_those_of_a_session_that_was_taken_up(self, capsys: pytest.CaptureFixture[str]) -> None:
        answers = {"turn.list": {"turns": [{"turn_id": "t-1"}]}, "turn.show": {"sources": [CHUNK]}}
        ScriptedChat(answers, session="s-1").do("/sources")
        assert capsys.readouterr().out == TOLD

    @pytest.mark.parametrize("answer", ["", "x"])
    def test_an_answer_without_any_is_told(self, answer: str) -> None:
        with pytest.raises(NotFound, match="rests on no documents"):
            ScriptedChat({"turn.list": {"turns": []}}, answer=answer, session="s-1").do("/sources")


def test_a_text_is_searched_for_as_it_is() -> None:
    chat = ScriptedChat()
    chat.do("/search --help me 'now")
    assert chat.verbs == [("search", "--", "--help me 'now")]
    with pytest.raises(UsageError):
        chat.do("/search")


def test_a_program_is_asked_about_and_gets_its_words_without_a_shell() -> None:
    chat = ScriptedChat()
    run_command(chat, " git log -1 'a b' $HOME; ls")
    verb, call, tool, arguments, *rest = chat.verbs[0]
    assert (verb, call, tool, rest) == ("tools", "call", "run_command", ["--approve", "ask"])
    assert json.loads(arguments) == {"argv": ["git", "log", "-1", "a b", "$HOME;", "ls"]}
    for nothing in ("", "  ", "'a"):
        with pytest.raises(UsageError):
            run_command(chat, nothing)
