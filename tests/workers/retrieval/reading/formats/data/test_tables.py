from __future__ import annotations

import csv
import io

from agentgw_daemon.workers.retrieval.reading.values import Limits
from tests.workers.retrieval.reading.reads import assert_covers, read_text


def written(rows: list[list[str]], delimiter: str = ",") -> str:
    """CSV as Python's writer makes it."""
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=delimiter).writerows(rows)
    return made.getvalue()


def test_every_chunk_stands_under_the_columns_names() -> None:
    text = written([["name", "town", "age"], *([f"Person {n}", "Basel", str(n)] for n in range(100))])
    document, pieces = read_text("people.csv", text, limits=Limits(chunk_tokens=60))
    assert document.format == "csv"
    assert len(pieces) > 10
    assert {piece.title_path for piece in pieces} == {"name, town, age"}
    assert_covers(pieces, text.encode())


def test_records_are_whole_and_not_repeated() -> None:
    rows = [["id", "note"], *([f"n{n}", "first line,\nsecond line of {n}"] for n in range(30))]
    _, pieces = read_text("a.csv", written(rows), limits=Limits(chunk_tokens=50, overlap_tokens=20))
    records = [record for piece in pieces for record in csv.reader(io.StringIO(piece.text, newline=""))]
    assert [[cell.replace("\r", "") for cell in record] for record in records] == rows


def test_tabs_and_semicolons_part_columns_too() -> None:
    for delimiter in "\t;|":
        _, [piece] = read_text("a.tsv", written([["a", "b"], ["1", "2"]], delimiter))
        assert piece.title_path == "a, b"


def test_data_without_names_has_no_path() -> None:
    for rows in ([["1", "2"], ["3", "4"]], [["a", "a"], ["b", "c"]], [["", "x"], ["b", "c"]]):
        assert read_text("a.csv", written(rows))[1][0].title_path == ""


def test_a_quotation_mark_that_never_closes_costs_nothing() -> None:
    text = 'name,note\nx,"never closed\n' + "y,z\n" * 10_000
    _, pieces = read_text("a.csv", text)
    assert_covers(pieces, text.encode())
