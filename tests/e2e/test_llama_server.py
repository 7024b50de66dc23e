"""A real endpoint: llama.cpp's own server with the starter model, behind `[providers.NAME]`."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import COUNTING, Home, model_speaks, until
from tests.patience import PATIENCE_S
from tests.root import ROOT
from tests.scripts.fetch_llama_server import fetch
from tests.starter import starter_model

pytestmark = pytest.mark.e2e

COUNT = ("-o", "temperature=0", "-o", "max_tokens=400", "--system", "", COUNTING)


class LlamaServer:
    """A running server. Its model's id is the path of its file, as it is with llama-server."""

    def __init__(self) -> None:
        python = fetch(ROOT / ".cache" / "llama-server-venv")
        program = Path(__file__).with_name("llama_server.py")
        self.process = subprocess.Popen(
            [python, "-P", program, starter_model()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().decode().strip()
        (model,) = self.get("/v1/models")["data"]
        self.reference = f"near/{model['id']}"

    def get(self, path: str) -> Any:
        """The server's answer under a path."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE_S) as response:
            return json.load(response)

    @property
    def busy(self) -> bool:
        """Tells whether its slot computes."""
        return any(slot["is_processing"] for slot in self.get("/slots"))

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal, and return when it is gone."""
        self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    made = LlamaServer()
    yield made
    made.end()


@pytest.fixture
def near(home: Home, server: LlamaServer) -> Home:
    """An installation with the server as its provider `near`."""
    home.configure(f'[providers.near]\nbase_url = "{server.url}/v1"\n')
    return home


def ask(home: Home, server: LlamaServer, *words: str) -> dict[str, Any]:
    """The result of a turn."""
    options = ("-m", server.reference, "-o", "temperature=0", "--json", "-q")
    done: dict[str, Any] = json.loads(home.ask("run", *options, *words))
    return done


def test_the_id_of_a_model_may_be_the_path_of_its_file(near: Home, server: LlamaServer) -> None:
    assert server.reference == f"near/{starter_model()}"
    made = ask(near, server, "-o", "max_tokens=8", "Say hello.")
    assert made["text"].strip()
    assert (made["usage"]["completion_tokens"], made["finish_reason"]) == (8, "length")


def test_two_turns_are_one_conversation(near: Home, server: LlamaServer) -> None:
    first = ask(near, server, "-o", "max_tokens=8", "My name is Ada.")
    second = ask(near, server, "-c", "-o", "max_tokens=8", "What is my name?")
    assert second["session_id"] == first["session_id"]
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"] + 8


def test_an_answer_meets_its_schema(near: Home, server: LlamaServer) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
    made = ask(near, server, "--schema", json.dumps(schema), "-o", "max_tokens=60", "One or two?")
    assert json.loads(made["text"])["n"] in (1, 2)


def test_a_tool_is_called_and_its_result_told(near: Home, server: LlamaServer) -> None:
    words = ("-t", "current_time", "--system", "", "--max-iterations", "2", "What time is it in Rome?")
    options = ("-m", server.reference, "-o", "temperature=0", "-o", "max_tokens=40", "--json", "-q")
    done = near.run("run", *options, *words)
    (first, *_) = json.loads(done.out)["tool_calls"]
    assert (first["tool"], first["arguments"], first["ok"]) == ("current_time", {"tz": "Europe/Rome"}, True)


def test_a_cancelled_answer_frees_the_slot(near: Home, server: LlamaServer) -> None:
    child = near.start("run", "-q", "-m", server.reference, *COUNT)
    model_speaks(near)
    assert server.busy
    child.send_signal(signal.SIGINT)
    until(lambda: not server.busy, "the slot is free")
    assert near.finish(child).status == 130


def test_a_server_that_is_killed_in_mid_answer_ends_the_turn_and_the_session_goes_on(home: Home) -> None:
    first = LlamaServer()
    home.configure(f'[providers.near]\nbase_url = "{first.url}/v1"\n')
    child = home.start("run", "-q", "-m", first.reference, *COUNT)
    model_speaks(home)
    first.end(signal.SIGKILL)
    done = home.finish(child)
    assert done.status == 4
    assert done.out.strip(), "what it said before"
    assert done.err.startswith(f"agentgw: {first.reference}: no answer from {first.url}/v1: ")
    second = LlamaServer()
    try:
        home.configure(f'[providers.near]\nbase_url = "{second.url}/v1"\n')
        home.ask("reload")
        assert ask(home, second, "-c", "-o", "max_tokens=8", "Say hello.")["text"].strip()
    finally:
        second.end()
