"""Commands about how messages are asked: what the next message is sent with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agentgw.cli.commands.run import OPTIONS as SAMPLING
from agentgw.protocol.calls.turns import TurnStartParams
from agentgw.protocol.errors import UsageError
from agentgw.protocol.records.schema import bind
from agentgw_shell.commands.asking import OPTIONS, attached
from tests.shell.commands.chatting import ScriptedChat


class TestSet:
    @pytest.mark.parametrize(
        ("line", "value"),
        [("temperature 0.2", 0.2), ("temperature 0", 0.0), ("top_k 40", 40), ("seed 4294967294", 4294967294),
         ("max_tokens 1", 1), ("stop END", ["END"]), ("stop 'two words' x", ["two words", "x"])],
    )  # fmt: skip
    def test_an_option_goes_with_every_message(self, line: str, value: Any) -> None:
        chat = ScriptedChat()
        chat.do(f"/set {line}")
        assert chat.conversation.options == {line.split()[0]: value}
        bind(TurnStartParams, {"message": "x", "options": chat.conversation.options})

    def test_the_number_of_steps_is_no_sampling_option(self) -> None:
        chat = ScriptedChat()
        chat.do("/set max_iterations 3")
        assert (chat.conversation.max_iterations, chat.conversation.options) == (3, {})

    @pytest.mark.parametrize("name", OPTIONS)
    def test_a_hyphen_takes_it_back(self, name: str) -> None:
        chat = ScriptedChat()
        chat.do(f"/set {name} 1")
        chat.do(f"/set {name} -")
        assert (chat.conversation.options, chat.conversation.max_iterations) == ({}, None)

    @pytest.mark.parametrize(
        "line",
        ["temperature hot", "temperature nan", "temperature inf", "temperature -1", "temperature 11", "top_p 1.5",
         "top_k 0.5", "max_tokens 0", "seed 4294967295", "seed -1", "max_iterations 2.7", "max_iterations 0",
         "max_iterations 1001", "temperature true", "temperature [1]", "stop ''", "stop 'a"],
    )  # fmt: skip
    def test_a_value_that_no_message_could_be_sent_with_is_refused_at_once(self, line: str) -> None:
        chat = ScriptedChat(options={"top_k": 5})
        with pytest.raises(UsageError):
            chat.do(f"/set {line}")
        assert (chat.conversation.options, chat.conversation.max_iterations) == ({"top_k": 5}, None)

    def test_the_limits_are_those_of_the_daemon(self) -> None:
        chat = ScriptedChat()
        for name in SAMPLING:
            if name == "stop":
                continue
            for value in ("0", "1", "10", "1001", "4294967294", "0.5"):
                options: dict[str, Any] = {name: float(value) if "." in value else int(value)}
                try:
                    bind(TurnStartParams, {"message": "x", "options": options})
                except Exception:  # noqa: BLE001 - whatever it is that the daemon does not take
                    with pytest.raises(UsageError):
                        chat.do(f"/set {name} {value}")
                else:
                    chat.do(f"/set {name} {value}")

    def test_a_name_alone_tells_its_value_and_changes_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        chat = ScriptedChat(options={"top_k": 5})
        chat.do("/set top_k")
        chat.do("/set temperature")
        assert chat.conversation.options == {"top_k": 5}
        assert capsys.readouterr().err == "agentgw: top_k is 5\nagentgw: temperature is the skill's\n"

    def test_all_are_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        ScriptedChat(options={"top_k": 5, "temperature": 0.0}, max_iterations=2).do("/set")
        told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
        assert set(told) == set(OPTIONS)
        assert (told["top_k"], told["max_iterations"], told["seed"]) == ("5", "2", "the skill's")
        assert told["temperature"] == "0.0"

    def test_a_typo_names_the_nearest(self) -> None:
        with pytest.raises(UsageError) as refused:
            ScriptedChat().do("/set temprature 1")
        assert refused.value.hint == "did you mean temperature?"


class TestSystem:
    def test_it_replaces_the_skills_instructions_until_it_is_taken_back(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        chat = ScriptedChat()
        chat.do("/system Answer in one  word.")
        assert chat.conversation.system == "Answer in one  word."
        capsys.readouterr()
        chat.do("/system")
        assert capsys.readouterr().err == "agentgw: Answer in one word.\n"
        chat.do("/system -")
        assert chat.conversation.system is None


class TestFile:
    def test_files_go_with_the_next_message(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "a.txt").write_text("one")
        (tmp_path / "b c.txt").write_text("two")
        chat = ScriptedChat()
        chat.do("/file ~/a.txt")
        chat.do(f"/file '{tmp_path}/b c.txt'")
        assert chat.conversation.files == [{"name": "a.txt", "text": "one"}, {"name": "b c.txt", "text": "two"}]
        chat.do("/file -")
        assert chat.conversation.files == []

    def test_one_that_cannot_be_read_adds_none(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("one")
        chat = ScriptedChat()
        with pytest.raises(UsageError, match="nosuch cannot be read"):
            chat.do(f"/file {tmp_path}/a.txt {tmp_path}/nosuch")
        assert chat.conversation.files == []

    def test_a_pipe_or_a_device_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "pipe", "/dev/zero"):
            with pytest.raises(UsageError, match="is no file"):
                attached(str(path))

    def test_a_name_that_is_no_text_goes_as_far_as_it_is_one(self, tmp_path: Path) -> None:
        path = os.fsencode(tmp_path) + b"/a\xff.txt"
        with open(path, "w") as file:
            file.write("one")
        assert attached(os.fsdecode(path)) == {"name": "a\ufffd.txt", "text": "one"}

    def test_what_goes_along_is_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        chat = ScriptedChat()
        chat.do("/file")
        chat.conversation.files.append({"name": "a\x1b.txt", "text": ""})
        chat.do("/file")
        assert capsys.readouterr().err == "agentgw: no file goes with the next message\nagentgw: a\\x1b.txt\n"
