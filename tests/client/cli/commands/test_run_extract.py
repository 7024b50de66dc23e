from __future__ import annotations

import json
from typing import Any

import pytest

from tests.client.commandline import Cli
from tests.client.fakedaemon import Peer, Serve


@pytest.mark.parametrize(("text", "printed"), [("Here:\n```sh\nls -l\n```\nDone.", "ls -l\n"), ("ls -l", "ls -l\n")])
def test_only_the_code_is_printed_and_an_answer_without_a_block_whole(
    cli: Cli, serve: Serve, text: str, printed: str
) -> None:
    def answer(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.delta(text)
        return {"turn_id": "turn1", "session_id": "session1", "text": text, "finish_reason": "stop"}

    serve({"turn.start": answer})
    assert cli("run", "-x", "list the files") == (0, printed, "")


@pytest.mark.parametrize("options", [(), ("-o", "max_tokens=3")])
def test_code_that_was_cut_is_told_also_where_its_length_was_asked_for(
    cli: Cli, serve: Serve, options: tuple[str, ...]
) -> None:
    text = "Here:\n```sh\nrm -r a"
    serve({"turn.start": {"turn_id": "turn1", "session_id": "s1", "text": text, "finish_reason": "length"}})
    status, printed, told = cli("run", "-x", *options, "remove a/b")
    assert (status, printed) == (0, "rm -r a\n")
    assert told.startswith("agentgw: the answer was cut")


@pytest.mark.parametrize("form", [("--json",), ("--output-format", "json"), ("--output-format", "stream-json")])
def test_code_alone_is_not_asked_for_as_json(cli: Cli, form: tuple[str, ...]) -> None:
    status, printed, told = cli("run", "-x", *form, "list the files")
    assert (status, json.loads(printed)["error"]["exit_status"]) == (2, 2)
    assert told == (
        "agentgw: -x does not go with --json or --output-format. leave one of them out: JSON has the whole answer\n"
    )
