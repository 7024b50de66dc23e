from __future__ import annotations

from typing import Any

import pytest

from tests.client.conftest import Cli, Serve
from tests.client.fakedaemon import Peer


@pytest.mark.parametrize(("text", "printed"), [("Here:\n```sh\nls -l\n```\nDone.", "ls -l\n"), ("ls -l", "ls -l\n")])
def test_only_the_code_is_printed_and_an_answer_without_a_block_whole(
    cli: Cli, serve: Serve, text: str, printed: str
) -> None:
    def answer(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.delta(text)
        return {"turn_id": "turn1", "session_id": "session1", "text": text, "finish_reason": "stop"}

    serve({"turn.start": answer})
    assert cli("run", "-x", "list the files") == (0, printed, "")
