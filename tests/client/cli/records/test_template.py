from __future__ import annotations

import pytest

from agentgw.cli.records.template import MissingField, Template
from agentgw.protocol.errors import UsageError


@pytest.mark.parametrize(
    ("template", "question"),
    [
        ("Classify: {}", "Classify: red"),
        ("{} or {}?", "red or red?"),
        ("{}", "red"),
        ("Sum up", "Sum up\n\nred"),
        ("", "\n\nred"),
        ('JSON like {{"a": {}}}', 'JSON like {"a": red}'),
        ("{{}}", "{}\n\nred"),
        ("{{{}}}", "{red}"),
        ("ä{}ß", "äredß"),
    ],
)
def test_the_record_takes_its_places(template: str, question: str) -> None:
    assert Template(template, fields=False).fill("red") == question


def test_what_is_put_in_is_not_read_as_a_template() -> None:
    assert Template("{a} {}", fields=True).fill("{b}", {"a": "{}{{", "b": "no"}) == "{}{{ {b}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x y", "x y"),
        (7, "7"),
        (1.5, "1.5"),
        (None, "null"),
        (True, "true"),
        (["ä", 1], '["ä", 1]'),
        ({}, "{}"),
        ("", ""),
    ],
)
def test_a_field_that_is_no_text_is_put_in_as_json(value: object, text: str) -> None:
    assert Template("<{a b}>", fields=True).fill("", {"a b": value}) == f"<{text}>"


def test_a_field_that_the_record_lacks_is_named() -> None:
    template = Template("{a} {b}", fields=True)
    with pytest.raises(MissingField, match=r"^b$"):
        template.fill("", {"a": 1})
    with pytest.raises(MissingField, match=r"^a$"):
        template.fill("7", None)


@pytest.mark.parametrize("template", ["{", "}", "a {b", "a } b", "{a{b}}", "{{}", "}}{"])
def test_a_brace_without_its_partner_is_refused_with_the_way_to_write_one(template: str) -> None:
    with pytest.raises(UsageError) as refused:
        Template(template, fields=True)
    assert "{{ and }}" in refused.value.hint


def test_a_field_of_lines_is_refused_with_the_forms_that_have_some() -> None:
    with pytest.raises(UsageError) as refused:
        Template("{name}", fields=False)
    assert "--csv or --jsonl" in refused.value.hint


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        Template("a\udcff{}", fields=False)
