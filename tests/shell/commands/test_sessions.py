"""Commands about the conversation: what they ask of the daemon, and what the chat is afterwards."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agentgw.cli.terminal.times import local
from agentgw.protocol.errors import AlreadyExists, NotFound, UsageError
from agentgw_shell.commands import sessions
from agentgw_shell.commands.sessions import FileNotWritten
from tests.shell.commands.chatting import ScriptedChat

KNOWN = {"session_id": "s-1", "title": "holiday", "turns": 3, "skill": "general-assistant"}
COMPACTED = {"session_id": "s-1", "turns": 2, "summary": "They plan a holiday.", "tokens_before": 900}


def turns(*ids: str) -> Any:
    """The turns of a session, the latest first, by `turn.list` and `turn.show`."""

    def listed(params: Mapping[str, Any]) -> Mapping[str, Any]:
        assert params["session_id"] == "s-1"
        return {"turns": [{"turn_id": one} for one in ids[: params["limit"]]]}

    def show(params: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"message": f"asked in {params['turn_id']}", "text": f"said in {params['turn_id']}"}

    return {"turn.list": listed, "turn.show": show, "session.fork": {"session_id": "s-2"}}


class TestUndo:
    def test_it_goes_on_in_a_copy_without_the_last_turn(self, capsys: pytest.CaptureFixture[str]) -> None:
        chat = ScriptedChat(turns("t-3", "t-2", "t-1"), session="s-1", answer="x", used_tokens=9)
        chat.do("/undo")
        assert chat.client.params("session.fork") == {"session_id": "s-1", "at": "t-2"}
        assert (chat.conversation.session, chat.conversation.answer, chat.conversation.used_tokens) == ("s-2", "", 0)
        assert "going on with s-2; s-1 stays as it is" in capsys.readouterr().err

    def test_the_only_turn_undone_leaves_a_new_session(self) -> None:
        chat = ScriptedChat(turns("t-1"), session="s-1")
        chat.do("/undo")
        assert chat.conversation.session is None
        assert "session.fork" not in [method for method, _ in chat.client.asked]

    def test_retry_asks_again_and_reads_no_file_twice(self) -> None:
        chat = ScriptedChat(turns("t-2", "t-1"), session="s-1")
        chat.do("/retry")
        assert chat.asked == [("asked in t-2", False)]

    def test_edit_puts_the_message_into_the_prompt(self) -> None:
        chat = ScriptedChat(turns("t-2", "t-1"), session="s-1")
        chat.do("/edit")
        assert (chat.prefilled, chat.asked) == ("asked in t-2", [])

    @pytest.mark.parametrize("command", ["/undo", "/retry", "/edit", "/fork", "/save a.md", "/compact", "/history"])
    def test_without_a_session_there_is_nothing_to_do(self, command: str) -> None:
        with pytest.raises(NotFound, match="no session yet"):
            ScriptedChat().do(command)

    def test_a_session_without_turns_is_told(self) -> None:
        with pytest.raises(NotFound, match="no turns yet"):
            ScriptedChat(turns(), session="s-1").do("/undo")


class TestFork:
    @pytest.mark.parametrize(("line", "at"), [("/fork", None), ("/fork t-2", "t-2")])
    def test_the_chat_goes_on_in_the_copy(self, line: str, at: str | None) -> None:
        chat = ScriptedChat(turns("t-2"), session="s-1", skill="poet", model="m")
        chat.do(line)
        assert chat.client.params("session.fork") == {"session_id": "s-1", "at": at}
        assert (chat.conversation.session, chat.conversation.skill, chat.conversation.model) == ("s-2", "poet", "m")


class TestResume:
    def test_the_last_exchange_is_shown_and_a_running_turn_taken_up(self, capsys: pytest.CaptureFixture[str]) -> None:
        messages = [
            {"role": "user", "content": "Where?", "turn_id": "t-3"},
            {"role": "assistant", "content": "In **Rome**.", "turn_id": "t-3"},
        ]
        chat = ScriptedChat({"session.get": KNOWN, "session.messages": {"messages": messages}}, session="s-9")
        chat.do("/resume s-1")
        assert chat.client.params("session.messages") == {"session_id": "s-1", "limit": 2}
        assert (chat.shown, chat.attached) == (["In **Rome**."], ["s-1"])
        assert (chat.conversation.session, chat.conversation.turn) == ("s-1", "t-3")
        told = capsys.readouterr()
        assert told.out == "› Where?\n"
        assert "going on with s-1: holiday" in told.err
        chat.do("/copy")
        assert chat.clipboard == "In **Rome**."

    def test_without_a_name_those_of_this_directory_are_listed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        chat = ScriptedChat({"session.list": {"sessions": [{**KNOWN, "updated_at": "2026-01-02T00:00:00Z"}]}})
        chat.do("/resume")
        assert chat.client.params("session.list") == {"cwd": str(tmp_path), "limit": 10}
        when = local("2026-01-02T00:00:00Z")
        assert capsys.readouterr().out.splitlines()[1].split() == ["s-1", *when.split(), "3", "holiday"]
        assert chat.conversation.session is None

    def test_a_session_that_is_not_there_leaves_the_chat_where_it_was(self) -> None:
        chat = ScriptedChat({"session.get": NotFound("no session s-7")}, session="s-1", answer="x")
        with pytest.raises(NotFound):
            chat.do("/resume s-7")
        assert (chat.conversation.session, chat.conversation.answer) == ("s-1", "x")


class TestCopy:
    def test_all_of_the_answer_or_its_last_code(self) -> None:
        answer = "So:\n```sh\nls\n```\nor\n```sh\nls -l\n```\n"
        chat = ScriptedChat(answer=answer)
        chat.do("/copy")
        assert chat.clipboard == answer
        chat.do("/copy code")
        assert chat.clipboard == "ls -l\n"

    def test_the_answer_of_a_session_that_was_taken_up(self) -> None:
        chat = ScriptedChat(turns("t-2", "t-1"), session="s-1")
        chat.do("/copy")
        assert chat.clipboard == "said in t-2"

    @pytest.mark.parametrize(
        ("line", "answer", "error"),
        [("/copy", "", NotFound), ("/copy code", "no code", NotFound), ("/copy all", "x", UsageError)],
    )
    def test_what_cannot_be_copied_is_told(self, line: str, answer: str, error: type[Exception]) -> None:
        chat = ScriptedChat(answer=answer)
        with pytest.raises(error):
            chat.do(line)
        assert chat.clipboard is None


class TestSave:
    def test_the_session_becomes_a_private_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        chat = ScriptedChat({"session.export": lambda p: {"text": json.dumps(p["format"])}}, session="s-1")
        for line, form in (("/save a.md", "md"), ("/save '~/b c.JSON'", "json"), ("/save talk", "md")):
            chat.do(line)
            path = tmp_path / line.split(maxsplit=1)[1].strip("'").removeprefix("~/")
            assert json.loads(path.read_text()) == form
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_a_file_that_is_there_stays(self, tmp_path: Path) -> None:
        (tmp_path / "a.md").write_text("mine")
        chat = ScriptedChat({"session.export": {"text": "new"}}, session="s-1")
        with pytest.raises(AlreadyExists):
            chat.do(f"/save {tmp_path}/a.md")
        assert (tmp_path / "a.md").read_text() == "mine"

    @pytest.mark.parametrize("path", ["nosuch/a.md", "a\0b.md"])
    def test_a_path_that_cannot_be_written_is_told(self, tmp_path: Path, path: str) -> None:
        chat = ScriptedChat({"session.export": {"text": "x"}}, session="s-1")
        with pytest.raises(FileNotWritten, match="cannot be written"):
            chat.do(f"/save {tmp_path}/{path}")

    def test_a_directory_that_is_gone_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        with pytest.raises(FileNotWritten):
            ScriptedChat({"session.export": {"text": "x"}}, session="s-1").do("/save a.md")

    def test_a_full_disk_leaves_no_half_of_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(sessions, "open", full, raising=False)
        with pytest.raises(FileNotWritten, match="No space left"):
            ScriptedChat({"session.export": {"text": "x"}}, session="s-1").do(f"/save {tmp_path}/a.md")
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("line", ["/save", "/save a b", "/save 'a"])
    def test_it_wants_one_path(self, line: str) -> None:
        with pytest.raises(UsageError):
            ScriptedChat({"session.export": {"text": "x"}}, session="s-1").do(line)


class TestCompact:
    def test_the_summary_is_shown_with_what_it_saves(self, capsys: pytest.CaptureFixture[str]) -> None:
        chat = ScriptedChat(
            {"session.compact": {**COMPACTED, "tokens_after": 100}}, session="s-1", model="m", used_tokens=950
        )
        chat.do("/compact")
        assert chat.client.params("session.compact") == {"session_id": "s-1", "model": "m"}
        assert chat.shown == ["They plan a holiday."]
        assert chat.conversation.used_tokens == 150
        assert "the 2 oldest turns are shown to the model like this: 100 tokens for 900." in capsys.readouterr().err

    def test_one_that_saves_nothing_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        answer = {**COMPACTED, "summary": None, "tokens_after": 900}
        chat = ScriptedChat({"session.compact": answer}, session="s-1", used_tokens=950)
        chat.do("/compact")
        assert (chat.shown, chat.conversation.used_tokens) == ([], 950)
        assert "not shorter" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("left", "told"), [(0, "all turns are shown whole again"), (2, "the 2 oldest turns are shown as the summary")]
    )
    def test_undo_takes_it_back(self, capsys: pytest.CaptureFixture[str], left: int, told: str) -> None:
        chat = ScriptedChat({"session.expand": {"session_id": "s-1", "turns": left}}, session="s-1")
        chat.do("/compact undo")
        assert chat.client.params("session.expand") == {"session_id": "s-1"}
        assert told in capsys.readouterr().err

    def test_another_word_is_refused(self) -> None:
        with pytest.raises(UsageError, match="there is no /compact all"):
            ScriptedChat(session="s-1").do("/compact all")
