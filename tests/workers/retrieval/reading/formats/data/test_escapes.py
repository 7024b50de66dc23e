from __future__ import annotations

import json

import pytest

from tests.workers.retrieval.reading.reads import read_text


def test_json_is_stored_as_text() -> None:
    value = {"dish": "Grünkohl", "how": 'Say "slowly".\nThen 饭 and 😀', "where": "a/b"}
    document, [piece] = read_text("menu.json", json.dumps(value).replace("a/b", "a\\/b"))
    assert (document.format, document.extracted) == ("json", True)
    assert piece.text == '{"dish": "Grünkohl", "how": "Say "slowly".\nThen 饭 and 😀", "where": "a/b"}'


def test_lines_of_json_keep_their_lines() -> None:
    _, pieces = read_text("a.jsonl", "".join(json.dumps({"n": n, "dish": "Käse " * 30}) + "\n" for n in range(9)))
    assert all("Käse" in piece.text and "\\u" not in piece.text for piece in pieces)
    assert pieces[-1].last_line == 9


def test_json_without_escapes_is_the_files_own_text() -> None:
    document, [piece] = read_text("a.json", '{"dish": "Käse"}')
    assert (document.format, document.extracted) == ("data", False)
    assert (piece.first_byte, piece.last_byte) == (0, 17)


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("messages.properties", "dish=Gr\\u00fcnkohl\n", "dish=Grünkohl"),
        ("a.yaml", 'dish: "Gr\\u00FCnkohl"\n', 'dish: "Grünkohl"'),
        ("a.yml", 'face: "\\U0001F600"', 'face: "😀"'),
        ("a.geojson", '{"name": "\\u0141\\u00f3d\\u017a"}', '{"name": "Łódź"}'),
        ("thing", '{"name": "\\u0141\\u00f3d\\u017a"}', '{"name": "Łódź"}'),
        ("thing", '[\n {"name": "\\u0141"}]', '[\n {"name": "Ł"}]'),
    ],
)
def test_its_kin_is_stored_as_text_too(name: str, text: str, shown: str) -> None:
    assert [piece.text for piece in read_text(name, text)[1]] == [shown]


def test_a_path_in_settings_is_no_escape() -> None:
    document, [piece] = read_text("a.ini", "[a]\nhome = C:\\users\\new\\table\n")
    assert (document.format, piece.text) == ("configuration", "[a]\nhome = C:\\users\\new\\table")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a": "\\ud83d"}', '{"a": "\ufffd"}'),
        ('{"a": "\\u12"}', '{"a": "\\u12"}'),
        ('{"a": "x\\u0000y\\u001b[2J"}', '{"a": "x\\u0000y\\u001b[2J"}'),
        ('{"a": "\\\\u00fc"}', '{"a": "\\u00fc"}'),
        ('{"a": "b\\', '{"a": "b\\'),
        ('{"a": "\\q \\u000a!"}', '{"a": "\\q \n!"}'),
    ],
)
def test_what_is_no_character_stays_written_out(text: str, shown: str) -> None:
    assert [piece.text for piece in read_text("a.json", text)[1]] == [shown]
