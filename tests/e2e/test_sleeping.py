"""A machine that goes to sleep in the middle of an answer, with a login manager of the test's own."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import partial
from typing import Any

import pytest
import trio

from tests.e2e.home import Home, kill
from tests.e2e.wire import Refused, Wire
from tests.patience import PATIENCE_S
from tests.system.bus import FakeLogin, login_manager, system_bus

pytestmark = pytest.mark.e2e
TALE = "Tell me a long story about a fox. " * 8
# Six answers of a model, three of them beside a sleep, on a machine that is busy with others.
LIMIT_S = 2 * PATIENCE_S
# An answer that nobody waits for the end of.
ENDLESS = 1_000


def begin(wire: Wire, max_tokens: int = 120) -> int:
    options = {"temperature": 0.8, "seed": 5, "max_tokens": max_tokens, "repeat_penalty": 1.0}
    return wire.request("turn.start", message=TALE, system="", options=options)


def text_of(notifications: list[dict[str, Any]]) -> str:
    return "".join(one["params"]["text"] for one in notifications if one["method"] == "turn.delta")


def stored_text(home: Home, turn_id: str) -> str:
    with closing(sqlite3.connect(home.database_copy())) as db:
        rows = db.execute("SELECT payload FROM turn_log WHERE turn_id = ? AND method = 'turn.delta'", (turn_id,))
        return "".join(text for (payload,) in rows for text in json.loads(payload)["texts"])


async def in_thread(run: Any, *args: Any, **named: Any) -> Any:
    return await trio.to_thread.run_sync(partial(run, *args, **named))


async def paused(login: FakeLogin, wire: Wire, moment: str, max_tokens: int = 120) -> tuple[int, str, str]:
    """A turn that is paused once this was heard of it: the request, the turn, and the text that came by then."""
    asked = begin(wire, max_tokens)
    turn_id = (await in_thread(wire.next, moment))["turn_id"]
    await login.prepare(True)
    await login.wait_let_go()
    return asked, turn_id, text_of((await in_thread(wire.stream, "ping"))[0])


async def check(home: Home, address: str) -> None:
    with trio.fail_after(LIMIT_S):
        async with login_manager(address) as login:
            await in_thread(home.serve, environ={"DBUS_SYSTEM_BUS_ADDRESS": address})
            await login.wait_locked()
            with home.connect() as wire:
                told = text_of((await in_thread(wire.outcome, begin(wire)))[0])
                for moment in ("turn.progress", "turn.delta"):
                    asked, turn_id, text = await paused(login, wire, moment)
                    # What was said is safe before the machine sleeps, and nothing more is said until it is awake.
                    assert (await in_thread(stored_text, home, turn_id)).endswith(text)
                    for _ in range(500):
                        assert (await in_thread(wire.stream, "ping"))[0] == []
                    await login.prepare(False)
                    notifications, result = await in_thread(wire.outcome, asked)
                    assert result["finish_reason"] in ("stop", "length")
                    assert result["text"] == told
                    assert text_of(notifications)
                    await login.wait_locked()
                asked, *_ = await paused(login, wire, "turn.delta", ENDLESS)
                for worker in home.workers():
                    kill(worker)
                with pytest.raises(Refused, match="was killed by SIGKILL"):
                    await in_thread(wire.outcome, asked)
                await login.prepare(False)
                assert (await in_thread(wire.outcome, begin(wire)))[1]["text"] == told


def test_a_sleep_puts_an_answer_aside_and_it_goes_on_with_the_same_words(model_home: Home) -> None:
    with system_bus(model_home.root) as address:
        trio.run(check, model_home, address)
        model_home.stop()
