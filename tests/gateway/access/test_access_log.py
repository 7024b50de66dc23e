"""Lines and counts of what was asked for."""

from __future__ import annotations

import logging
import re

import pytest

from agentgw.protocol.calls.approvals import ApprovalList
from agentgw_daemon.gateway.access.access_log import AccessLog
from agentgw_daemon.server.handlers import HANDLERS
from tests.gateway.harness import TCP, UNIX, opened, with_key


def test_a_request_is_one_line_of_names_and_values(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        AccessLog().note(door="tcp", method="GET", route="/docs", status=200, sent_bytes=5, took_s=0.0123)
    assert caplog.messages == ["door=tcp method=GET route=/docs status=200 bytes=5 ms=12.3"]


def test_a_method_that_the_client_made_up_is_not_written_down(caplog: pytest.LogCaptureFixture) -> None:
    access = AccessLog()
    with caplog.at_level(logging.INFO):
        access.note(door="tcp", method="SECRET", route="-", status=405, sent_bytes=5, took_s=0.1)
    assert "SECRET" not in caplog.text
    assert access.answered == {("-", "-", 405): 1}


def test_who_watches_over_the_daemon_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    access = AccessLog()
    with caplog.at_level(logging.INFO):
        access.note(door="tcp", method="GET", route="/health", status=200, sent_bytes=5, took_s=0.1)
    assert caplog.messages == []
    assert access.answered == {("GET", "/health", 200): 1}


@pytest.mark.anyio
async def test_a_page_that_is_open_fills_no_log_as_long_as_its_pieces_come(caplog: pytest.LogCaptureFixture) -> None:
    piece = {"HX-Request": "true"}
    with caplog.at_level(logging.INFO):
        async with opened({"approval.list": lambda request, params: ApprovalList(approvals=())}) as made:
            client = made.client(UNIX)
            assert (await client.ask("GET", "/approvals", headers=piece)).status == 200
            assert caplog.messages == []
            # Another page cannot hide by that, nor what goes wrong.
            assert (await client.ask("GET", "/health", headers=piece)).status == 200
            assert (await client.ask("GET", "/jobs", headers=piece)).status == 500
            assert (await client.ask("GET", "/openapi.json")).status == 200
            assert (await client.ask("GET", "/api/stats", headers=piece)).status == 500
    routes = [re.findall(r"route=(\S+) status=(\d+)", message) for message in caplog.messages if "route=" in message]
    assert routes == [[("/jobs", "500")], [("/openapi.json", "200")], [("/api/stats", "500")]]


@pytest.mark.anyio
async def test_no_word_of_path_query_or_body_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with opened(HANDLERS) as made:
            client = made.client(TCP)
            await client.ask("GET", "/canary?canary=canary", headers=with_key(Referer="http://canary/"))
            await client.ask("GET", "/api/search?query=canary&nix=1", headers=with_key())
            await client.ask("POST", "/api/run", headers=with_key(), value={"message": "canary", "canary": 1})
    assert caplog.text.count("door=tcp") == 3
    assert "canary" not in caplog.text
