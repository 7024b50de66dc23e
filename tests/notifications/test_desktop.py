"""Notifications on a real bus, with a desktop of the test's own."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from agentgw_daemon.notifications.desktop import Desktop
from agentgw_daemon.notifications.notice import DesktopNotice
from tests.notifications.bus import desktop_on, session_bus
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio

NOTICE = DesktopNotice(summary="a & b", body="<b>1</b> & 2")
BUTTONS = {"allow_once": "Allow once", "deny": "Deny"}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with session_bus(tmp_path) as made:
        yield made


@pytest.fixture
def desktop(address: str) -> Desktop:
    return Desktop({"DBUS_SESSION_BUS_ADDRESS": address})


def key(actions: dict[str, str], text: str) -> str:
    return next(name for name, shown in actions.items() if shown == text)


async def test_a_press_is_heard(address: str, desktop: Desktop) -> None:
    with trio.fail_after(PATIENCE_S):
        async with desktop_on(address) as screen, desktop.shown(NOTICE, BUTTONS) as shown:
            asked = await screen.wait_asked()
            assert (asked.summary, asked.body, asked.urgency) == ("a & b", "&lt;b&gt;1&lt;/b&gt; &amp; 2", 2)
            assert list(asked.actions.values()) == ["Allow once", "Deny"]
            await screen.press(asked.number, key(asked.actions, "Deny"))
            assert await shown.press() == "deny"


async def test_a_desktop_without_markup_gets_the_text_and_one_without_buttons_none(
    address: str, desktop: Desktop
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with desktop_on(address) as screen:
            screen.able = ["body"]
            async with desktop.shown(NOTICE, BUTTONS):
                asked = await screen.wait_asked()
    assert (asked.body, asked.actions) == (NOTICE.body, {})


async def test_only_this_notifications_own_buttons_count(address: str, desktop: Desktop) -> None:
    with trio.fail_after(PATIENCE_S):
        async with desktop_on(address) as screen, desktop.shown(NOTICE, BUTTONS) as shown:
            asked = await screen.wait_asked()
            allow = key(asked.actions, "Allow once")
            # A number that was used before, a key of another notification, things that are none.
            await screen.press(asked.number + 1, allow)
            await screen.press(asked.number, "allow_once")
            await screen.press(asked.number, f"allow_once:{'0' * 16}")
            await screen.press(asked.number, "allow_once:ä")
            await screen.send("ActionInvoked", "u", (asked.number,))
            await screen.send("ActionInvoked", "su", ("x", asked.number))
            await screen.send("Whatever", "us", (asked.number, allow))
            await screen.put_away(asked.number)
            assert await shown.press() is None


async def test_a_strangers_signal_is_no_press(address: str, desktop: Desktop) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            desktop_on(address) as screen,
            desktop_on(address, owns=False) as stranger,
            desktop.shown(NOTICE, BUTTONS) as shown,
        ):
            asked = await screen.wait_asked()
            await stranger.press(asked.number, key(asked.actions, "Allow once"))
            await screen.press(asked.number, key(asked.actions, "Deny"))
            assert await shown.press() == "deny"


async def test_it_is_taken_away(address: str, desktop: Desktop) -> None:
    with trio.fail_after(PATIENCE_S):
        async with desktop_on(address) as screen, desktop.shown(NOTICE, BUTTONS) as shown:
            await shown.close()
            await screen.wait_closed(1)


async def test_a_notice_without_buttons_is_left_there(address: str, desktop: Desktop) -> None:
    with trio.fail_after(PATIENCE_S):
        async with desktop_on(address) as screen:
            await desktop.tell(NOTICE)
            assert (screen.asked[0].urgency, screen.asked[0].actions, screen.closed) == (1, {}, [])


async def test_a_desktop_that_refuses_is_one_line(
    address: str, desktop: Desktop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with trio.fail_after(PATIENCE_S):
        async with desktop_on(address) as screen:
            screen.refuses = True
            await desktop.tell(NOTICE)
            await desktop.tell(NOTICE)
    assert [one.message for one in caplog.records] == ["notifications are not shown on the desktop: no desktop today"]


async def test_without_anybody_on_the_bus_there_is_one_line(desktop: Desktop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with trio.fail_after(PATIENCE_S):
        await desktop.tell(NOTICE)
    (told,) = caplog.records
    assert NOTICE.summary not in told.message


@pytest.mark.parametrize(
    "environ",
    [
        {"XDG_RUNTIME_DIR": "/nonexistent"},
        {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/bus"},
        {"DBUS_SESSION_BUS_ADDRESS": "tcp:host=localhost"},
        {"DBUS_SESSION_BUS_ADDRESS": "rubbish"},
        {"DBUS_SESSION_BUS_ADDRESS": "unix:"},
        {"DBUS_SESSION_BUS_ADDRESS": "unix:path=" + "x" * 500},
    ],
)
async def test_without_a_bus_there_is_one_line(environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    desktop = Desktop(environ)
    await desktop.tell(NOTICE)
    await desktop.tell(NOTICE)
    (told,) = caplog.records
    assert told.message.startswith("notifications are not shown on the desktop: ")


async def test_a_bus_that_says_nothing_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "bus"))
        silent.listen()
        with trio.fail_after(PATIENCE_S):
            await Desktop({"XDG_RUNTIME_DIR": str(tmp_path)}).tell(NOTICE)
    assert len(caplog.records) == 1
