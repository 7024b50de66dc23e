"""Results fit a frame whatever happened."""

from __future__ import annotations

from agentgw.protocol.schema import dump
from agentgw.transport.framing import MAX_MESSAGE_BYTES, encode
from agentgw_daemon.knowledge.ingest.report import IngestReport


def test_counts_and_lists() -> None:
    tally = IngestReport()
    tally.count("added", 3)
    tally.count("unchanged", documents=7)
    tally.fail("/a\udcff", "is\nbroken ")
    tally.note("/d", "2 pages\nhave no text")
    tally.gone(["/b"], removed=False)
    tally.gone(["/c"], removed=True)
    result = tally.result()
    assert (result.added, result.unchanged, result.chunks, tally.stored) == (1, 7, 3, 1)
    assert [(one.source, one.reason) for one in result.failed] == [("/a\\xff", "is broken")]
    assert (result.vanished, result.removed) == (("/b",), ("/c",))
    assert [(one.source, one.note) for one in result.notes] == [("/d", "2 pages have no text")]


def test_long_lists_are_cut_and_counted_whole() -> None:
    tally = IngestReport()
    for n in range(10_000):
        tally.fail(f"/{n}{chr(1) * 3000}", "\x00" * 1000)
        tally.note(f"/{n}{chr(1) * 3000}", "\x00" * 1000)
    tally.gone((f"/{n}{chr(1) * 3000}" for n in range(10_000)), removed=True)
    tally.gone((f"/{n}{chr(1) * 3000}" for n in range(10_000)), removed=False)
    result = tally.result()
    assert result.failed_count == result.removed_count == result.vanished_count == 10_000
    assert len(encode(dump(result))) < MAX_MESSAGE_BYTES
    assert 4 <= len(result.failed) < 10_000
