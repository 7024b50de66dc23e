from __future__ import annotations

import csv
import io

import pytest

from agentgw_daemon.workers.retrieval.reading.values import ReadingLimits
from tests.workers.retrieval.reading.reads import assert_covers, read_text


def written(rows: list[list[str]], delimiter: str = ",") -> str:
    """CSV as Python's writer makes it."""
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=delimiter).writerows(rows)
    return made.getvalue()


def test_every_chunk_stands_under_the_columns_names() -> None:
    text = written([["name", "town", "age"], *([f"Person {n}", "Basel", str(n)] for n in range(100))])
    document, pieces = read_text("people.csv", text, limits=ReadingLimits(chunk_tokens=60))
    assert document.format == "csv"
    assert len(pieces) > 10
    assert {piece.title_path for piece in pieces} == {"name, town, age"}
    assert_covers(pieces, text.encode())


def test_records_are_whole_and_not_repeated() -> None:
    rows = [["id", "note"], *([f"n{n}", "first line,\nsecond line of {n}"] for n in range(30))]
    _, pieces = read_text("a.csv", written(rows), limits=ReadingLimits(chunk_tokens=50, overlap_tokens=20))
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


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (",name,town\n", "name, town"),
        ("name,town,note,\n", "name, town, note"),
        ("id,name,name\n", "id, name"),
        ("sep=,\nid,name,town\n", "id, name, town"),
        ("# made by a program\n# on a day\nid,name,town\n", "id, name, town"),
        ('\ufeff"id","the ""name""",town\n', 'id, the "name", town'),
        ("#id,name,town\n", "#id, name, town"),
    ],
)
def test_names_of_columns_are_known_beside_others_without_one(head: str, names: str) -> None:
    text = head + "".join(f"{n},name number {n},town {n}\n" for n in range(100))
    _, pieces = read_text("a.csv", text, limits=ReadingLimits(chunk_tokens=60))
    assert {piece.title_path for piece in pieces[1:]} == {names}
    assert_covers(pieces, text.encode())
