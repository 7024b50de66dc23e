from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.bench.manuals import Page, distinct, page_of, pages, parse, plain, write

SOURCE = r"""'\" t
.\" A comment
.TH SHELVE "8" "2026"
.de set-up
nothing of this
..
.nh
.SH "NAME"
shelve, unshelve \- put books on a \fIshelf\fR and
take them off
.SH SYNOPSIS
.B shelve
.RI [ options ]
.SH "DESCRIPTION"
.PP
Books are put where \(lqthere is room\(rq. See
.BR bookcase (5).
.\" another comment
.IP \-a
All of them.
.ad l
.SS Long shelves
They \f(CWbend\fP\&.
"""


def page(name: str, question: str, *, characters: int = 1000) -> Page:
    return Page(name=name, text="x" * characters, question=question)


def test_a_page_is_its_sections_without_the_name_which_is_the_question() -> None:
    parsed = parse("shelve.8", SOURCE)
    assert parsed is not None
    assert parsed.question == "put books on a shelf and take them off"
    assert parsed.text == (
        "# SYNOPSIS\n\nshelve\n[options]\n\n"
        '# DESCRIPTION\n\nBooks are put where "there is room". See\nbookcase(5).\n\n-a\nAll of them.\n\n'
        "## Long shelves\n\nThey bend.\n"
    )


@pytest.mark.parametrize("source", ["", ".Sh NAME\n.Nm shelve\n.Nd puts books\n", ".SH NAME\nshelve puts books\n"])
def test_what_has_no_description_in_the_macros_man_is_no_page(source: str) -> None:
    assert parse("shelve.8", source) is None


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\fBa\fP \f[CW]b\f[] \fB\-c\fR", "a b -c"),
        (r"\s-1SMALL\s0 \s+2x", "SMALL x"),
        (r"it\(aqs \[lq]so\[rq]\&\|", 'it\'s "so"'),
        (r"\*(Aqx \*[name]y \*zw", "x y w"),
        (r"\h'-04'\w'a'C:\edir\\", "C:\\dir\\"),
    ],
)
def test_what_sets_fonts_leaves_nothing(source: str, text: str) -> None:
    assert plain(source) == text


def test_each_question_is_there_once_and_only_pages_that_are_fit() -> None:
    good, same = page("a.1", "put books on a shelf"), page("b.1", "Put books on a shelf")
    short, long = page("c.1", "put books"), page("d.1", "take them off the shelf again", characters=100_000)
    other = page("e.1", "take them off the shelf")
    assert distinct([good, None, same, short, long, other], 10) == [good, other]
    assert distinct([good, other], 1) == [good]


def test_a_program_with_many_pages_has_few_of_them() -> None:
    many = [page(f"git-{number}.1", f"do the thing number {number}") for number in range(100)]
    assert len(distinct(many, 100)) == 40


def test_the_order_of_pages_does_not_hang_on_what_else_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "man8"
    folder.mkdir()
    for number in range(6):
        source = SOURCE.replace("a \\fIshelf\\fR", f"shelf {number}") + "More is said here. " * 50
        with gzip.open(folder / f"shelve{number}.8.gz", "wt") as file:
            file.write(source)
    before = [one.name for one in pages(10, folder=tmp_path)]
    (folder / "shelve3.8.gz").unlink()
    assert len(before) == 6
    assert [one.name for one in pages(10, folder=tmp_path)] == [name for name in before if name != "shelve3.8"]


def test_a_written_page_is_found_by_its_file(tmp_path: Path) -> None:
    write([page("Dpkg::Vars.3perl", "handle the variables of dpkg")], tmp_path / "pages")
    [path] = (tmp_path / "pages").iterdir()
    assert page_of(str(path)) == "Dpkg::Vars.3perl"
