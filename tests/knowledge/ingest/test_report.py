"""Results fit a frame whatever happened."""

from __future__ import annotations

from agentgw.protocol.records.schema import dump
from agentgw.transport.framing import MAX_MESSAGE_BYTES, encode
from agentgw_daemon.knowledge.ingest.report import IngestReport


def test_counts_and_lists() -> None:
    report = IngestReport()
    report.count("added", 3)
    report.count("unchanged", documents=7)
    report.fail("/a\udcff", "is\nbroken ")
    report.note("/d", "2 pages\nhave no text")
    report.gone(["/b"], removed=False)
    report.gone(["/c"], removed=True)
    result = report.result()
    assert (result.added, result.unchanged, result.chunks, report.stored) == (1, 7, 3, 1)
    assert [(one.source, one.reason) for one in result.failed] == [("/a\\xff", "is broken")]
    assert (result.vanished, result.removed) == (("/b",), ("/c",))
    assert [(one.source, one.note) for one in result.notes] == [("/d", "2 pages have no text")]


def test_long_lists_are_cut_and_counted_whole() -> None:
    report = IngestReport()
    for n in range(10_000):
        report.fail(f"/{n}{chr(1) * 3000}", "\x00" * 1000)
        report.note(f"/{n}{chr(1) * 3000}", "\x00" * 1000)
    report.gone((f"/{n}{chr(1) * 3000}" for n in range(10_000)), removed=True)
    report.gone((f"/{n}{chr(1) * 3000}" for n in range(10_000)), removed=False)
    result = report.result()
    assert result.failed_count == result.removed_count == result.vanished_count == 10_000
    assert len(encode(dump(result))) < MAX_MESSAGE_BYTES
    assert 4 <= len(result.failed) < 10_000
