"""The jobs file as the daemon has it, while somebody edits it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agentgw_daemon.scheduler.running.book import JobsBook
from tests.scheduler.made import BERLIN

pytestmark = pytest.mark.anyio


def entry(name: str) -> str:
    return f"jobs:\n  - {{name: {name}, message: hello, every: day}}\n"


def book_of(folder: Path, pause: Callable[[float], None]) -> JobsBook:
    return JobsBook(folder / "jobs.yaml", home=folder, zone=lambda: BERLIN, pause=pause)


@pytest.mark.parametrize("way", ["emptied", "taken away"])
async def test_an_editor_that_writes_in_two_steps_is_waited_for(way: str, tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"

    def write(name: str) -> None:
        file.write_text(entry(name))

    write("a")
    book = book_of(tmp_path, lambda _: write("b"))
    assert await book.look()
    assert list(book.jobs) == ["a"]
    if way == "emptied":
        file.write_text("")
    else:
        file.unlink()
    assert await book.look()
    assert list(book.jobs) == ["b"]
    assert not await book.look(), "it is known in this state"


async def test_a_file_that_stays_empty_has_no_jobs(tmp_path: Path) -> None:
    pauses: list[float] = []
    book = book_of(tmp_path, pauses.append)
    assert await book.look(), "no file is a state as well"
    assert pauses == [], "there were no jobs to be lost"
    (tmp_path / "jobs.yaml").write_text(entry("a"))
    await book.look()
    (tmp_path / "jobs.yaml").write_text("")
    assert await book.look()
    assert (list(book.jobs), pauses) == ([], [0.1, 0.1, 0.1])
    assert not await book.look()


async def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(entry("a"))
    book = book_of(tmp_path, lambda _: None)
    assert await book.look()
    before = book.read
    assert not await book.look()
    assert book.read is before
    assert await book.look(anew=True)
    assert book.read is not before
