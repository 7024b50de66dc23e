"""Rows that go with a session that is deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentgw.protocol.calls.sessions import RenameParams, SessionIdParams
from agentgw.protocol.errors import InvalidParams, NotFound
from agentgw_daemon.server.calls.request import RequestContext
from agentgw_daemon.server.handlers import session
from agentgw_daemon.workers.protocol.kv_files import segment, state_file, state_folder
from tests.fakes import request_to
from tests.turns.house import House, house

pytestmark = pytest.mark.anyio


def saved(kv_dir: Path, owner: str) -> Path:
    header = segment.describe(segment.ROOT, 0, segment.pack([1]), 1)
    path = state_folder.model_folder(kv_dir, "model") / state_folder.file_name(owner, header.digest)
    state_file.write(path, header, b"x")
    return path


@asynccontextmanager
async def asked(folder: Path) -> AsyncIterator[tuple[House, RequestContext]]:
    async with house(folder) as h:
        h.services.started.paths.kv_dir = str(folder / "kv")
        yield h, request_to(h.services, h.turns)


async def test_deleting_a_session_removes_its_saved_states_and_nobody_elses(tmp_path: Path) -> None:
    async with asked(tmp_path) as (h, request):
        mine, other = (await h.ask()).session_id, (await h.ask()).session_id
        files = [saved(tmp_path / "kv", owner) for owner in (mine, other, "shared")]
        # By the start of its id, as people do.
        await session.delete(request, SessionIdParams(session_id=mine[:-1] if mine[:-1] != other[:-1] else mine))
        assert [file.exists() for file in files] == [False, True, True]


async def test_a_session_that_is_not_there_removes_nothing(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, request):
        shared = saved(tmp_path / "kv", "shared")
        with pytest.raises(NotFound):
            await session.delete(request, SessionIdParams(session_id="shared"))
        assert shared.exists()


async def test_files_that_cannot_be_removed_are_logged_and_the_session_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(folder: Path, owner: str) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(session, "forget", refuse)
    async with asked(tmp_path) as (h, request):
        mine = (await h.ask()).session_id
        await session.delete(request, SessionIdParams(session_id=mine))
        with pytest.raises(NotFound):
            await h.database.sessions.get(mine)
    assert f"session {mine}: its files" in caplog.text
    assert "Permission denied" in caplog.text


@pytest.mark.parametrize("title", [" ", "\t\n", "\u3000"])
async def test_a_title_of_blanks_is_none(tmp_path: Path, title: str) -> None:
    async with asked(tmp_path) as (h, request):
        mine = (await h.ask()).session_id
        before = (await h.database.sessions.get(mine)).title
        with pytest.raises(InvalidParams, match="title is empty"):
            await session.rename(request, RenameParams(session_id=mine, title=title))
        assert (await h.database.sessions.get(mine)).title == before
