from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from agentgw.cli.records.formats import CsvRows, InputRecord, JsonLines, Lines, ends_in_quotes, folded
from agentgw.cli.records.template import Template
from agentgw.protocol.errors import UsageError
from agentgw.transport.framing import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from agentgw.cli.records.flow import RecordFormat


def lines(template: str = "{}", end: bytes = b"\n") -> Lines:
    return Lines(Template(template, fields=False), end)


def json_lines(template: str = "{}", *, answers_json: bool = False) -> JsonLines:
    return JsonLines(Template(template, fields=True), "answer", answers_json=answers_json)


def csv_rows(template: str = "{}", into: str = "answer") -> CsvRows:
    return CsvRows(Template(template, fields=True), into)


def read(form: RecordFormat, data: bytes, size: int = 1 << 20) -> list[InputRecord]:
    """The records of the data, fed in pieces of this size."""

    def all_records() -> Iterator[InputRecord]:
        for at in range(0, len(data), size):
            yield from form.feed(data[at : at + size])
        yield from form.finish()

    return list(all_records())


def told(records: list[InputRecord]) -> list[str | None]:
    """The question about each, None where nobody is asked."""
    return [None if record.passed else record.fault or record.question for record in records]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("data", "questions"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b"\n \n\r\na", [None, None, None, "a"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
        (b"a\0b\n", ["a\0b"]),
        (b"a\rb\x0b\xc2\x85c\n", ["a\rb\x0b\x85c"]),
        (b"ok\n\xff\nok", ["ok", "is not UTF-8 text (byte 0)", "ok"]),
    ],
)
def test_lines_are_cut_however_they_come(data: bytes, questions: list[str | None], size: int) -> None:
    assert told(read(lines(), data, size)) == questions


def test_records_are_counted_from_1_and_empty_ones_count() -> None:
    assert [record.number for record in read(lines(), b"a\n\nb")] == [1, 2, 3]


def test_sizes_add_up_to_the_input() -> None:
    data = b"a\r\n\n\xff\nlong line\n"
    for form in (lines(), json_lines(), csv_rows()):
        assert sum(record.size for record in read(form, data)) in (len(data), len(data) - 1)


def test_between_nuls_line_ends_are_text() -> None:
    form = lines(end=b"\0")
    records = read(form, b"a\nb\0\0c\r")
    assert told(records) == ["a\nb", None, "c\r"]
    assert form.show(records[0], "x\ny") == "x\ny\0"


@pytest.mark.parametrize("form", [lines(), json_lines(), csv_rows()])
def test_a_record_larger_than_a_message_fails_and_is_not_held(form: RecordFormat) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"names\n" if isinstance(form, CsvRows) else b""
        for _ in range(40):
            yield b"x" * (1 << 16)
        yield b'\n"last"\n'

    records = [record for piece in pieces() for record in form.feed(piece)]
    records = [record for record in [*records, *form.finish()] if record.number]
    assert "more than the 1048576 bytes" in records[0].fault
    assert [record.fault for record in records[1:]] == [""]


def test_a_record_of_the_largest_size_is_one() -> None:
    assert told(read(lines(), b"x" * MAX_MESSAGE_BYTES + b"\n")) == ["x" * MAX_MESSAGE_BYTES]


def test_an_answer_is_one_line_and_a_failure_an_empty_one() -> None:
    form = lines()
    record = read(form, b"a\n")[0]
    assert form.show(record, " one\r\n\n  two\n") == "one two\n"
    assert form.show(record, None) == "\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a", "a"),
        (" a ", "a"),
        ("a\nb", "a b"),
        ("a  b\n\tc", "a  b c"),
        ("\n\n", ""),
        ("a\rb", "a b"),
        # JSON may hold it in a text as it is.
        ('{\n"a": "x\u2028y\x85z"}', '{ "a": "x\u2028y\x85z"}'),
    ],
)
def test_line_ends_become_blanks(text: str, line: str) -> None:
    assert folded(text) == line


def test_json_lines_keep_what_they_had_and_get_a_member() -> None:
    form = json_lines("{name} is {age}")
    text = '{"age":1.50, "name": "\\u00e4", "deep": {"a": [1]}}'
    record = read(form, text.encode() + b"\n")[0]
    assert record.question == "ä is 1.5"
    assert form.show(record, 'say "yes"\n') == text[:-1] + ', "answer": "say \\"yes\\"\\n"}\n'
    assert form.show(record, None) == text[:-1] + ', "answer": null}\n'


def test_a_json_answer_stays_json() -> None:
    form = json_lines(answers_json=True)
    record = read(form, b"{}\n")[0]
    assert form.show(record, '{"n":\n 1.0}') == '{"answer": {"n": 1.0}}\n'
    assert form.show(record, None) == '{"answer": null}\n'


@pytest.mark.parametrize(
    ("line", "fault", "shown"),
    [
        ('{"b": 1}', "has no member a", {"b": 1, "answer": None}),
        ("[1]", "has no member a", {"record": [1], "answer": None}),
        ("nope", "is no JSON: Expecting value at character 0", {"answer": None}),
        ('{"a": 1, "a": 2}', "is no JSON: an object has the same key twice", {"answer": None}),
        ('{"a": NaN}', "is no JSON: NaN is not JSON", {"answer": None}),
        ('{"a": "\\ud800"}', "has a lone surrogate, which is no text", {"a": "\ud800", "answer": None}),
        ("[" * 100 + "]" * 100, "is no JSON: nested deeper than 64", {"answer": None}),
    ],
)
def test_json_that_does_not_do_fails_and_keeps_its_line(line: str, fault: str, shown: object) -> None:
    form = json_lines("{a}")
    record = read(form, line.encode())[0]
    assert record.fault.startswith(fault)
    assert json.loads(form.show(record, None)) == shown


@pytest.mark.parametrize(
    ("line", "into", "shown"),
    [
        ('{"answer":  "mine", "a": 1.50}', "answer", '{"answer":  "mine", "a": 1.50}'),
        ('{"answer": null}', "answer", '{"answer": null}'),
        ('{"a": 1, "verdict": "mine"}', "verdict", '{"a": 1, "verdict": "mine"}'),
        ('{"record": 1}', "record", '{"record": 1}'),
        # It would stand under the answer's name.
        ("[1]", "record", '{"record": [1]}'),
    ],
)
def test_json_that_has_the_answers_member_comes_out_as_it_went_in(line: str, into: str, shown: str) -> None:
    form = JsonLines(Template("{}", fields=True), into, answers_json=False)
    record = read(form, b'{"b": 1}\n' + line.encode() + b"\n")[1]
    assert record.fault == f"has a member {into} already; --into NAME calls the new one otherwise"
    assert form.show(record, None) == f"{shown}\n"


def test_a_first_json_record_with_the_answers_member_ends_it() -> None:
    with pytest.raises(UsageError, match="record 1 has a member answer already"):
        read(json_lines(), b'{"answer": "mine"}\n')


def test_integers_of_any_length_stay_as_they_are() -> None:
    form = json_lines("{a}")
    record = read(form, b'{"a": 18446744073709551615, "b": -170141183460469231731687303715884105728}\n')[0]
    assert (record.fault, record.question) == ("", "18446744073709551615")
    assert form.show(record, "x").startswith(
        '{"a": 18446744073709551615, "b": -170141183460469231731687303715884105728,'
    )
    assert read(form, b"9" * 5000)[0].fault == "is no JSON: an integer has more than 1000 digits"


def test_json_that_is_no_object_stands_beside_its_answer() -> None:
    form = json_lines()
    assert form.show(read(form, b"[1, 2]\n")[0], "x") == '{"record": [1, 2], "answer": "x"}\n'


def test_an_empty_line_of_json_stays_one() -> None:
    form = json_lines()
    record = read(form, b"\n")[0]
    assert (record.passed, form.show(record, "")) == (True, "\n")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_csv_has_line_ends_commas_and_quotes_in_fields(size: int) -> None:
    form = csv_rows("{a}|{b}")
    data = b'\xef\xbb\xbfa,b\r\n"1,\r\n""x""",2\r\n\r\n5" pipe,"c"d\n'
    head, *rows = read(form, data, size)
    assert told(rows) == ['1,\r\n"x"|2', '5" pipe|cd']
    assert [record.number for record in (head, *rows)] == [0, 1, 2]
    assert form.show(head, "") == "a,b,answer\n"
    assert form.show(rows[0], "x\ny") == '"1,\r\n""x""",2,"x\ny"\n'


def test_the_whole_row_is_the_row_as_it_is() -> None:
    assert told(read(csv_rows("Row: {}"), b'a,a\n"x ""y""",2\n'))[1:] == ['Row: "x ""y""",2']


@pytest.mark.parametrize(
    ("row", "fault", "shown"),
    [
        (b"1", "has 1 fields in place of 2", "1,,\n"),
        (b"1,2,3", "has 3 fields in place of 2", "1,2,\n"),
        (b'1,"2\n3', "has a quoted field that does not end", ",,\n"),
        (b"\xff,2", "is not UTF-8 text (byte 0)", ",,\n"),
        (b"1\r2,3", "is no CSV", ",,\n"),
    ],
)
def test_a_row_that_does_not_do_fails_and_keeps_its_columns(row: bytes, fault: str, shown: str) -> None:
    form = csv_rows("{a}")
    record = read(form, b"a,b\n" + row)[1]
    assert record.fault.startswith(fault)
    assert form.show(record, None) == shown


@pytest.mark.parametrize(
    ("names", "template", "told_of"),
    [
        (b"a,b\n", "{c}", "no column c"),
        (b"a,a\n", "{a}", "more than one column a"),
        (b"a,answer\n", "{a}", "a column answer already"),
        (b"\xff\n", "{}", "row of names is not UTF-8"),
        (b'"a\n', "{}", "row of names has a quoted field"),
    ],
)
def test_names_that_do_not_do_end_it_at_once(names: bytes, template: str, told_of: str) -> None:
    with pytest.raises(UsageError, match=told_of):
        read(csv_rows(template), names)


def test_another_name_of_the_column_may_be_given() -> None:
    form = csv_rows("{a}", "verdict")
    head = read(form, b"a,answer\n1,2\n")[0]
    assert form.show(head, "") == "a,answer,verdict\n"


@pytest.mark.parametrize(
    ("line", "within", "after"),
    [
        (b"a,b", False, False), (b'"a,b', False, True), (b'a"b,"c"', False, False), (b'a,"b', False, True),
        (b'"a""b', False, True), (b'"a""', False, True), (b'"a"""', False, False), (b'x"', True, False),
        (b'x",y,"z', True, True), (b"", True, True), (b'"a"b"c,d', False, False),
    ],
)  # fmt: skip
def test_a_quoted_field_that_goes_on_is_noticed(line: bytes, within: bool, after: bool) -> None:
    assert ends_in_quotes(line, within) is after
