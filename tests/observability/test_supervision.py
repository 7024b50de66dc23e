"""Exceptions caught so that the daemon lives: logged once, under an id, and no further."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from agentgw_daemon.observability.supervision import contained, internal_error, supervised


def test_a_bug_reaches_the_client_as_an_id_only(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ZeroDivisionError("secret /some/path")
    except ZeroDivisionError as raised:
        error = internal_error(raised, "here")
    assert "secret" not in str(error.to_wire())
    assert "/some/path" not in str(error.to_wire())
    assert error.data["error_id"] in caplog.text
    assert "secret" in caplog.text


@pytest.mark.anyio
async def test_what_is_supervised_ends_alone_with_one_entry_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    went_on = trio.Event()

    async def broken(text: str) -> None:
        await trio.lowlevel.checkpoint()
        raise UnicodeEncodeError("utf-8", text, 0, 1, "surrogates not allowed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervised, "storing an end", broken, "x")
        await trio.testing.wait_all_tasks_blocked()
        went_on.set()
    assert went_on.is_set()
    assert [record.getMessage().split(" while ")[1] for record in caplog.records] == ["storing an end"]


@pytest.mark.anyio
async def test_what_is_supervised_is_cancelled_like_anything_else() -> None:
    async def sleep_and_fail() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("while it was cancelled")

    with trio.move_on_after(0) as scope:
        await supervised("sleeping", sleep_and_fail)
    assert scope.cancelled_caught


def test_what_is_contained_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with contained("telling somebody"):
        raise RecursionError
    assert "telling somebody" in caplog.text
