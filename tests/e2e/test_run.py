"""`agentgw run` from outside: what it reads, what it prints and where, what it exits with."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.errors import Timeout
from agentgw.protocol.types import Timings, Usage
from tests.e2e.endpoint import SCRIPTED, Endpoint
from tests.e2e.home import Home, heard, is_silent, until

pytestmark = pytest.mark.e2e

ECHO = ("run", "-m", "echo")


def test_without_a_model_a_pipe_is_told_what_to_run(home: Home) -> None:
    done = home.run("run", "hi")
    assert (done.status, done.out) == (4, "")
    assert done.err == "agentgw: there is no model yet. run `agentgw pull smollm2:135m`\n"


def test_the_first_command_of_a_fresh_home_answers(home: Home) -> None:
    assert home.ask(*ECHO, "hello", "there") == "hello there\n"


def test_what_no_worker_answers_starts_none(home: Home, endpoint: Endpoint) -> None:
    assert home.ask(*ECHO, "hello") == "hello\n"
    assert home.processes().keys() == set(home.daemons())
    home.stop()
    child = home.start(*SCRIPTED, "hello")
    endpoint.next().end("who is there?")
    assert home.finish(child).out == "who is there?\n"
    assert home.processes().keys() == set(home.daemons())


def test_the_answer_ends_in_exactly_one_newline(shared_home: Home) -> None:
    assert shared_home.ask(*ECHO, "trailing\n\n\n") == "trailing\n"
    assert shared_home.ask(*ECHO, "two\n\nparagraphs") == "two\n\nparagraphs\n"


def test_piped_input_follows_the_text_after_a_blank_line(shared_home: Home) -> None:
    assert shared_home.ask(*ECHO, "Summarise", said="a\nb\n") == "Summarise\n\na\nb\n"


def test_a_dash_is_the_piped_input_alone(shared_home: Home) -> None:
    assert shared_home.ask(*ECHO, "-", said="only this\n") == "only this\n"


def test_a_pipe_into_bare_agentgw_is_a_run(home: Home) -> None:
    home.configure('[model]\ndefault = "echo"\n')
    assert home.ask(said="what is piped\n") == "what is piped\n"


def test_files_follow_the_message_under_their_names(shared_home: Home) -> None:
    (shared_home.work / "a.txt").write_text("alpha\n")
    (shared_home.work / "b.txt").write_text("beta")
    said = shared_home.ask(*ECHO, "Compare", "-f", "a.txt", "-f", "b.txt")
    assert said == "Compare\n\na.txt:\n```\nalpha\n```\n\nb.txt:\n```\nbeta\n```\n"
    assert shared_home.ask(*ECHO, "-f", "-", said="gamma\n") == "stdin:\n```\ngamma\n```\n"


def test_json_is_the_result_of_the_turn(shared_home: Home) -> None:
    made = json.loads(shared_home.ask(*ECHO, "--json", "--system", "be brief", "one two three"))
    assert made.keys() == {field.name for field in fields(TurnResult)} - {"parts", "fit"}  # of a dry run
    assert made["timings"].keys() == {field.name for field in fields(Timings)}
    assert made["usage"].keys() == {field.name for field in fields(Usage)}
    # echo counts words: two of the system's, three of the user's.
    assert made["usage"] == {"prompt_tokens": 5, "cached_tokens": 0, "completion_tokens": 3}
    assert (made["text"], made["finish_reason"]) == ("one two three", "stop")
    assert (made["tool_calls"], made["sources"]) == ([], [])
    assert shared_home.call("turn.show", turn_id=made["turn_id"])["turn"]["last_seq"] == made["last_seq"]


def test_stream_json_is_every_notification_and_then_the_result(shared_home: Home) -> None:
    *events, result = map(
        json.loads, shared_home.ask(*ECHO, "--output-format", "stream-json", "one two three").splitlines()
    )
    assert [event["params"]["seq"] for event in events] == list(range(1, result["last_seq"] + 1))
    assert {event["params"]["turn_id"] for event in events} == {result["turn_id"]}
    assert {event["params"]["session_id"] for event in events} == {result["session_id"]}
    assert (events[0]["method"], events[-1]["method"]) == ("turn.started", "turn.completed")
    deltas = [event["params"]["text"] for event in events if event["method"] == "turn.delta"]
    assert deltas == ["one ", "two ", "three"]
    assert result["text"] == "one two three"


def test_an_answer_is_printed_as_it_comes(home: Home, endpoint: Endpoint) -> None:
    child = home.start(*SCRIPTED, "go")
    conversation = endpoint.next()
    conversation.say("first ")
    assert heard(child, 5) == "first"
    conversation.end("second")
    assert home.finish(child).out == " second\n"


def test_no_stream_prints_nothing_before_the_end(home: Home, endpoint: Endpoint) -> None:
    child = home.start(*SCRIPTED, "--no-stream", "go")
    conversation = endpoint.next()
    conversation.say("first ")
    with home.connect() as wire:
        (turn,) = wire.call("turn.list", running=True)["turns"]
        attached = home.start("attach", turn["turn_id"])
        assert heard(attached, 5) == "first"
    assert is_silent(child)
    conversation.end("second")
    assert home.finish(child).out == "first second\n"


def test_no_session_stores_nothing(home: Home) -> None:
    made = json.loads(home.ask(*ECHO, "--no-session", "--json", "a secret"))
    assert made["text"] == "a secret"
    assert home.call("session.list")["sessions"] == []
    assert home.call("turn.list")["turns"] == []
    assert home.call("stats.get")["messages"] == 0
    home.stop()
    for file in (home.path / "data").glob("agentgw.db*"):
        assert b"a secret" not in file.read_bytes()


def test_continuing_shows_the_model_what_was_said_before(home: Home, endpoint: Endpoint) -> None:
    def ask(*words: str) -> list[tuple[str, str]]:
        child = home.start(*SCRIPTED, "--system", "S", *words)
        conversation = endpoint.next()
        conversation.end(f"answer to {words[-1]}")
        assert home.finish(child).status == 0
        return [(message["role"], message["content"]) for message in conversation.messages]

    first = [("system", "S"), ("user", "one")]
    assert ask("one") == first
    second = [*first, ("assistant", "answer to one"), ("user", "two")]
    assert ask("-c", "two") == second
    (session,) = home.call("session.list")["sessions"]
    # Another conversation comes between.
    assert ask("else") == [("system", "S"), ("user", "else")]
    assert ask("--session", session["session_id"], "three") == [
        *second, ("assistant", "answer to two"), ("user", "three"),
    ]  # fmt: skip
    assert home.call("session.get", session_id=session["session_id"])["turns"] == 3


def test_continuing_means_the_last_session_of_this_directory(home: Home) -> None:
    elsewhere = home.root / "elsewhere"
    elsewhere.mkdir()
    here = json.loads(home.ask(*ECHO, "--json", "here"))
    there = json.loads(home.finish(home.start(*ECHO, "--json", "there", cwd=elsewhere)).out)
    assert json.loads(home.ask(*ECHO, "--json", "-c", "again"))["session_id"] == here["session_id"]
    assert there["session_id"] != here["session_id"]


def test_continuing_nothing_begins_a_session_and_says_so(home: Home) -> None:
    done = home.run(*ECHO, "-c", "first")
    assert (done.status, done.out) == (0, "first\n")
    assert done.err == "agentgw: no session was started here yet, this begins one\n"
    home.ask(
        "call", "session.delete", json.dumps({"session_id": home.call("session.list")["sessions"][0]["session_id"]})
    )
    assert home.ask(*ECHO, "-q", "-c", "first") == "first\n"


def test_a_skill_answers_to_its_name_with_underscores_and_with_hyphens(shared_home: Home) -> None:
    shown = [
        shared_home.ask(*ECHO, "--dry-run", "-q", "-s", name, "hi") for name in ("code_assistant", "code-assistant")
    ]
    assert shown[0] == shown[1] != shared_home.ask(*ECHO, "--dry-run", "-q", "hi")
    turn_id = json.loads(shared_home.ask(*ECHO, "--json", "-s", "code_assistant", "hi"))["turn_id"]
    assert shared_home.call("turn.show", turn_id=turn_id)["turn"]["skill"] == "code-assistant"


def test_dry_run_prints_the_prompt_and_runs_nothing(home: Home) -> None:
    done = home.run(*ECHO, "--dry-run", "--system", "be brief", "what now")
    assert (done.status, done.out) == (0, "be brief\nwhat now\n")
    assert done.err == "template  0\nsystem    2\nmessage   2\nagentgw: 4 tokens\n"
    assert home.call("turn.list")["turns"] == []


def test_max_tokens_and_stop_end_the_answer(shared_home: Home) -> None:
    cut = json.loads(shared_home.ask(*ECHO, "--json", "-o", "max_tokens=2", "one two three"))
    assert (cut["text"], cut["finish_reason"], cut["usage"]["completion_tokens"]) == ("one two ", "length", 2)
    assert shared_home.ask(*ECHO, "-o", "stop=three", "-o", "stop=two", "one two three") == "one \n"


def test_a_time_limit_ends_the_turn_with_124(home: Home, endpoint: Endpoint) -> None:
    home.daemon()
    done = home.run(*SCRIPTED, "--timeout", "1.5", "take your time")
    assert (done.status, done.out, done.err) == (124, "", f"agentgw: no answer within 1.5 seconds. {Timeout.remedy}\n")
    assert endpoint.next().left.wait(5)
    (turn,) = home.call("turn.list")["turns"]
    assert (turn["state"], turn["finish_reason"]) == ("cancelled", "cancelled")


def test_what_was_said_before_the_time_limit_is_printed_and_kept(home: Home, endpoint: Endpoint) -> None:
    home.daemon()
    child = home.start(*SCRIPTED, "--timeout", "2", "go")
    endpoint.next().say("so far")
    assert heard(child, 6) == "so far"
    done = home.finish(child)
    assert (done.status, done.out) == (124, "\n")
    (turn,) = home.call("turn.list")["turns"]
    assert home.call("turn.show", turn_id=turn["turn_id"])["text"] == "so far"


def test_quiet_leaves_only_errors(shared_home: Home) -> None:
    assert shared_home.ask(*ECHO, "-q", "--dry-run", "hi").endswith("hi\n")
    done = shared_home.run(*ECHO, "-q", "-s", "nosuch", "hi")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("agentgw: ")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((*ECHO, "-s", "code-asistant", "hi"), 1, "did you mean code-assistant?"),
        (("run", "-m", "smollm2:35m", "hi"), 4, "did you mean smollm2:135m?"),
        (("run", "-m", "smollm2:135m", "hi"), 4, "run `agentgw pull smollm2:135m`"),
        (("run", "-m", "/nowhere/x.gguf", "hi"), 4, "/nowhere/x.gguf"),
        ((*ECHO, "-o", "temprature=1", "hi"), 2, "did you mean temperature?"),
        ((*ECHO, "-o", "temperature=warm", "hi"), 2, "takes a number"),
        ((*ECHO, "-o", "top_p=2", "hi"), 2, "top_p"),
        ((*ECHO, "--session", "s-nosuch", "hi"), 1, "s-nosuch"),
        ((*ECHO,), 2, "there is no message"),
        ((*ECHO, "-f", "nosuch.txt", "hi"), 2, "nosuch.txt"),
        ((*ECHO, "--nosuch", "hi"), 2, "--nosuch"),
        (("nosuch",), 2, "there is no verb nosuch"),
        (("attach", "t-nosuch"), 1, "t-nosuch"),
        (("call", "no.such"), 2, "no.such"),
        (("call", "turn.show", "{}"), 2, "turn_id"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_one_line_and_a_status(
    shared_home: Home, words: tuple[str, ...], status: int, said: str
) -> None:
    done = shared_home.run(*words)
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith("agentgw: ")
    assert done.err.count("\n") == 1
    assert said in done.err


def test_a_file_that_is_no_model_is_refused_in_one_line(shared_home: Home) -> None:
    (shared_home.work / "noise.gguf").write_bytes(b"GGUF" + bytes(57))
    done = shared_home.run("run", "-m", "noise.gguf", "hi")
    assert (done.status, done.out) == (4, "")
    assert "noise.gguf" in done.err
    assert done.err.count("\n") == 1


def test_a_detached_turn_goes_on_alone_and_is_watched_from_anywhere(home: Home, endpoint: Endpoint) -> None:
    turn_id = home.ask(*SCRIPTED, "--detach", "-q", "go").strip()
    conversation = endpoint.next()
    conversation.say("one ")
    watcher = home.start("attach", turn_id)
    assert heard(watcher, 3) == "one"
    conversation.end("two")
    assert home.finish(watcher).out == " two\n"
    assert home.ask("attach", turn_id) == "one two\n"
    session_id = home.call("turn.show", turn_id=turn_id)["turn"]["session_id"]
    assert home.ask("attach", session_id) == "one two\n"


def test_a_replay_is_what_was_sent_to_the_byte_also_after_a_restart(home: Home, endpoint: Endpoint) -> None:
    turn_id = home.ask(*SCRIPTED, "--detach", "-q", "go").strip()
    conversation = endpoint.next()
    with home.connect() as live:
        request_id = live.request("turn.attach", turn_id=turn_id)
        conversation.say("zwölf ", "日本 ")
        sent = [live.line() for _ in range(2)]
        conversation.end("Ende\n", "✓")
        while (line := live.line()) is not None:
            sent.append(line)
            if json.loads(line).get("id") == request_id:
                break
    assert json.loads(sent[-1] or b"")["result"]["text"] == "zwölf 日本 Ende\n✓"
    middle = len(sent) // 2
    with home.connect() as wire:
        assert wire.frames("turn.attach", turn_id=turn_id) == sent
    with home.connect() as wire:
        assert wire.frames("turn.attach", turn_id=turn_id, from_seq=middle + 1) == sent[middle:]
    first = home.call("hello", client="test", version="0", protocol=1)["instance"]
    assert home.ask("restart").strip().isdecimal()
    assert home.call("hello", client="test", version="0", protocol=1)["instance"] != first
    with home.connect() as wire:
        assert wire.frames("turn.attach", turn_id=turn_id) == sent
    with home.connect() as wire:
        assert wire.frames("turn.attach", turn_id=turn_id, from_seq=middle + 1) == sent[middle:]


def test_a_busy_session_takes_no_second_turn(home: Home, endpoint: Endpoint) -> None:
    turn_id = home.ask(*SCRIPTED, "--detach", "-q", "go").strip()
    conversation = endpoint.next()
    session_id = home.call("turn.show", turn_id=turn_id)["turn"]["session_id"]
    done = home.run(*SCRIPTED, "--session", session_id, "me too")
    assert (done.status, done.out) == (75, "")
    assert turn_id in done.err
    conversation.end("done")
    assert home.ask("attach", turn_id) == "done\n"
    until(lambda: home.call("turn.list", running=True)["turns"] == [], "the turn has ended")
    assert home.ask(*ECHO, "--session", session_id, "now me") == "now me\n"


def test_there_is_not_one_escape_sequence_in_a_pipe(shared_home: Home) -> None:
    for words in ((*ECHO, "hi"), ("models",), ("status",), ("skills",), ("sessions",), ("doctor",), ("run", "hi")):
        done = shared_home.run(*words, environ={"TERM": "xterm-256color", "FORCE_COLOR": "1"})
        assert "\x1b" not in done.out + done.err
        assert "\r" not in done.out + done.err


def test_every_listing_can_be_had_as_json(home: Home) -> None:
    turn = json.loads(home.ask(*ECHO, "--json", "find the needle"))
    found = {
        words: json.loads(home.ask(*words, "--json"))
        for words in (
            ("status",), ("ps",), ("models",), ("skills",), ("sessions",), ("sessions", "search", "needle"),
            ("history", turn["session_id"]), ("config", "show"), ("reload",),
        )
    }  # fmt: skip
    assert found["sessions",]["sessions"][0]["session_id"] == turn["session_id"]
    assert found["sessions", "search", "needle"]["messages"][0]["turn_id"] == turn["turn_id"]
    assert [one["content"] for one in found["history", turn["session_id"]]["messages"]] == ["find the needle"] * 2
    assert {one["name"] for one in found["skills",]["skills"]} >= {"general-assistant", "summarize-document"}
    assert found["status",]["running"] is True
    assert json.loads(home.run("doctor", "--json").out)["findings"]
