from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.values import ReadingLimits
from tests.workers.retrieval.reading.counting import by_pieces
from tests.workers.retrieval.reading.reads import assert_covers, assert_sound, read_path, read_text

LIBRARY = Path(sysconfig.get_path("stdlib"))

PYTHON = '''"""Does things."""

import os

X = 1


@decorated
def first(a):
    """Is first."""
    return a


class Thing:
    """A thing."""

    size = 3

    def grow(self):
        return self.size + 1

    class Inner:
        def shrink(self): ...
'''

GO = """package main

import "fmt"

// Add adds.
func Add(a int, b int) int {
	if a > 0 {
		return a + b
	}

	return b
}

func (t *Thing) Grow() {
	t.size++
}

type Thing struct {
	size int
}
"""

SMALL = ReadingLimits(chunk_tokens=24, overlap_tokens=0)


def paths(name: str, text: str) -> dict[str, str]:
    """The chunks' paths, with the text of each path's first."""
    made: dict[str, str] = {}
    for piece in read_text(name, text, limits=SMALL)[1]:
        made.setdefault(piece.title_path, piece.text)
    return made


def test_python_is_cut_at_functions_and_methods() -> None:
    found = paths("thing.py", PYTHON)
    assert found["thing.py > first"].startswith("@decorated\ndef first(a):")
    assert found["thing.py > Thing"].startswith("class Thing:")
    assert found["thing.py > Thing > grow"].startswith("    def grow(self):")
    assert found["thing.py > Thing > Inner"].startswith("    class Inner:")


def test_python_that_does_not_parse_is_cut_by_its_shape() -> None:
    found = paths("old.py", PYTHON.replace("X = 1", "print 'old'"))
    assert "old.py > first" in found
    assert "old.py > Thing" in found


def test_other_languages_are_cut_at_what_begins_at_the_margin() -> None:
    found = paths("main.go", GO)
    assert found["main.go > Add"].startswith("// Add adds.\nfunc Add")
    assert found["main.go > Grow"].startswith("func (t *Thing) Grow")
    assert found["main.go > Thing"].startswith("type Thing struct")


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        ("a.c", "static int count_words(const char *text)\n{\n    return 0;\n}\n", "count_words"),
        ("a.rs", "pub fn read_all<T>(input: T) -> usize {\n    0\n}\n", "read_all"),
        ("a.js", "export const add = (a, b) => {\n  return a + b\n}\n", "add"),
        ("a.java", "public final class Reader extends Base {\n  int x;\n}\n", "Reader"),
        ("a.sh", "#!/bin/sh\nsay_it() {\n  echo it\n}\n", "say_it"),
        ("a.sql", "CREATE TABLE people (\n  id int\n);\n", "people"),
        ("a.rb", "module Things\n  X = 1\nend\n", "Things"),
        ("a.lua", "local function walk(tree)\n  return tree\nend\n", "walk"),
    ],
)
def test_declarations_have_their_names(name: str, text: str, title: str) -> None:
    [piece] = read_text(name, text)[1]
    assert piece.title_path == f"{name} > {title}"


def test_configuration_is_cut_at_its_sections() -> None:
    text = "top = 1\n\n[tool.ruff]  # style\nline = 120\n\n[[tool.mypy.overrides]]\nmodule = [\n  'a',\n]\n" * 1
    _, pieces = read_text("a.toml", text, limits=ReadingLimits(chunk_tokens=20, overlap_tokens=0))
    assert [piece.title_path for piece in pieces] == ["", "tool.ruff", "tool.mypy.overrides"]


@pytest.mark.parametrize("name", ["argparse.py", "typing.py", "json/decoder.py", "email/message.py", "this.py"])
def test_pythons_own_library_is_cut_and_covered(name: str) -> None:
    path = LIBRARY / name
    document, pieces = read_path(str(path))
    assert document.format == "python"
    assert_sound(pieces, ReadingLimits(), by_pieces)
    assert_covers(pieces, path.read_bytes())


def test_a_method_of_the_library_is_found_by_its_path() -> None:
    _, pieces = read_path(str(LIBRARY / "argparse.py"))
    [piece, *_] = [one for one in pieces if one.title_path == "argparse.py > ArgumentParser > parse_args"]
    assert "def parse_args(self, args=None, namespace=None):" in piece.text
