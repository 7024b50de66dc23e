from __future__ import annotations

import pytest

from agentgw_daemon.workers.retrieval.reading.values import ReadingLimits
from tests.workers.retrieval.reading.reads import assert_covers, read_text

FILL = "They dance in the dark and tell where flowers are. " * 4
ORG = f"""#+TITLE: My Hive
{FILL}
* TODO [#A] Bees :insects:
{FILL}
** See [[https://example.org][the dance]]
{FILL}
#+BEGIN_SRC c
* no heading
#+END_SRC
{FILL}
"""
ADOC = f"""= Guide

== Start
{FILL}

----
== no heading
----

=== More
{FILL}
"""
LATEX = f"""\\documentclass{{article}}
\\title{{The \\emph{{Bees}}}}
{FILL}
\\section[short]{{Dance}}
{FILL}
\\begin{{verbatim}}
\\section{{no heading}}
\\end{{verbatim}}
\\subsection*{{More}}
{FILL}
"""


@pytest.mark.parametrize(
    ("name", "text", "found", "title", "paths"),
    [
        ("a.org", ORG, "org", "My Hive", ["My Hive", "My Hive > Bees", "My Hive > Bees > See the dance"]),
        ("a.adoc", ADOC, "asciidoc", "Guide", ["Guide > Start", "Guide > Start > More"]),
        ("a.tex", LATEX, "latex", "The Bees", ["", "The Bees", "The Bees > Dance", "The Bees > Dance > More"]),
    ],
)
def test_headings_are_titles_and_code_has_none(name: str, text: str, found: str, title: str, paths: list[str]) -> None:
    document, pieces = read_text(name, text, limits=ReadingLimits(chunk_tokens=60))
    assert (document.format, document.title, document.extracted) == (found, title, False)
    assert list(dict.fromkeys(piece.title_path for piece in pieces)) == paths
    assert_covers(pieces, text.encode())


ROWS = "".join(f"| Town number {n} | {n} |\n" for n in range(100))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.org", f"* Top\n| Town | Hours |\n|------+-------|\n{ROWS}"),
        ("a.md", f"# Top\n\n| Town | Hours |\n|------|-------|\n{ROWS}"),
        ("a.adoc", f"= Top\n\n|===\n| Town | Hours\n\n{ROWS}|===\n"),
        ("a.rst", "Top\n===\n\n+------+-------+\n| Town | Hours |\n+======+=======+\n" + ROWS + "+------+-------+\n"),
        ("a.rst", "Top\n===\n\n====  =====\nTown  Hours\n====  =====\n" + "Bern  5\n" * 400 + "====  =====\n"),
    ],
)  # fmt: skip
def test_the_first_row_stands_over_each_chunk_of_a_table(name: str, text: str) -> None:
    _, pieces = read_text(name, text)
    assert len(pieces) > 3
    assert {piece.title_path for piece in pieces[1:]} == {"Top > Town, Hours"}
    assert_covers(pieces, text.encode())


@pytest.mark.parametrize("name", ["a.org", "a.adoc", "a.tex"])
@pytest.mark.parametrize("text", ["* ", "#+begin_x\n", "|\n", "----\n", "\\section{", "\\begin{verbatim}\n", "= =\n"])
def test_hostile_text_is_covered(name: str, text: str) -> None:
    whole = text * 5000
    assert_covers(read_text(name, whole)[1], whole.encode())


@pytest.mark.parametrize(
    ("name", "text", "path"),
    [
        ("a.typ", "= Guide\n\n{}\n\n== Bees\n\n{}\n", "Guide > Bees"),
        ("a.textile", "h1. Guide\n\n{}\n\nh2(#x). Bees\n\n{}\n", "Guide > Bees"),
        ("a.wiki", "== Guide ==\n{}\n=== Bees ===\n{}\n", "Guide > Bees"),
        ("a.mediawiki", "== Guide ==\r\n{}\r\n=== a = b ===\r\n{}\r\n", "Guide > a = b"),
        ("a.pod", "=head1 Guide\n\n{}\n\n=head2 Bees\n\n{}\n\n=cut\n", "Guide > Bees"),
        ("a.texi", "@chapter Guide\n{}\n@section Bees\n{}\n@example\n@chapter none\n@end example\n", "Guide > Bees"),
    ],
)
def test_other_markup_has_its_headings(name: str, text: str, path: str) -> None:
    made = text.format(FILL, FILL)
    document, pieces = read_text(name, made, limits=ReadingLimits(chunk_tokens=60))
    assert document.title == "Guide"
    assert pieces[0].title_path == "Guide"
    assert pieces[-1].title_path == path
    assert_covers(pieces, made.encode())


@pytest.mark.parametrize(
    ("name", "head", "row", "end"),
    [
        ("a.tex", "\\begin{longtable}{ll}\n\\hline\nName & Town \\\\\n", "P & T \\\\\n", "\\end{longtable}\n"),
        (
            "a.tex",
            "\\begin{table}\n\\caption{All of them}\n\\begin{tabular}{l}\nName & Town\\\\\n",
            "P & T\\\\\n",
            "\\end{table}",
        ),
        ("a.wiki", '{| class="wikitable"\n|+ All of them\n|-\n! Name !! Town\n', "|-\n| P || T\n", "|}\n"),
        ("a.wiki", "{|\n! Name\n! Town\n", "|-\n| P\n| T\n", "|}\n"),
    ],
)
def test_names_of_columns_stand_over_each_chunk_of_a_table(name: str, head: str, row: str, end: str) -> None:
    _, pieces = read_text(name, head + row * 200 + end, limits=ReadingLimits(chunk_tokens=60))
    assert len(pieces) > 4
    assert {piece.title_path for piece in pieces} == {"Name, Town"}
