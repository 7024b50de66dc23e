from __future__ import annotations

from typing import Final

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.reads import read_text

BEE: Final = r""".\" A comment
.de XX
.BR secret
..
.TH BEE 1 "May 2026" "Hive"
.SH NAME
bee \- dance in the dark
.SH SYNOPSIS
.B bee
[\fIOPTION\fR]... \fB\-\-help\fR
.SH OPTIONS
.TP
.BR \-d ", " \-\-dance =\fIHOW\fR
Dance \(lqslowly\(rq, \[u00FC]ber\&all.
.SS Examples
.nf
  bee \e
    now
.fi
.TS
l l.
Town	Hours
Basel	5
.TE
"""
MDOC: Final = r""".Dd May 1, 2026
.Dt HIVE 8
.Os
.Sh NAME
.Nm hive
.Nd keep bees
.Sh SYNOPSIS
.Nm
.Op Fl v
.Op Fl f Ar file
.Sh DESCRIPTION
See
.Xr bee 1 ,
and wait.
.Bl -tag -width Ds
.It Fl f Ar file
Reads it.
.El
"""


def test_a_page_is_titled_by_its_name_and_cut_at_its_sections() -> None:
    for name in ("bee.1", "bee", "bee.1ssl"):
        document, pieces = read_text(name, BEE)
        assert (document.format, document.title, document.extracted) == ("man", "bee(1)", True)
        assert pieces[-1].title_path.startswith("bee(1) > OPTIONS")
        assert "\n\n".join(piece.text for piece in pieces).split("\n\n") == [
            "NAME", "bee - dance in the dark", "SYNOPSIS", "bee\n[OPTION]... --help", "OPTIONS",
            "-d, --dance=HOW\nDance “slowly”, überall.", "Examples", "  bee \\\n    now", "Town | Hours\nBasel | 5",
        ]  # fmt: skip


def test_a_page_of_mdoc_is_read() -> None:
    document, [piece] = read_text("hive.8", MDOC)
    assert document.title == "hive(8)"
    assert piece.text.split("\n\n") == [
        "NAME", "hive", "- keep bees", "SYNOPSIS", "hive\n[-v]\n[-f file]", "DESCRIPTION", "See\nbee(1),\nand wait.",
        "-f file\nReads it.",
    ]  # fmt: skip


def test_a_page_that_names_another_says_so() -> None:
    with pytest.raises(Unreadable, match=r"only names another page, man1/bee\.1"):
        read_text("bees.1", ".so man1/bee.1\n")


def test_a_formatted_page_is_titled_by_its_name_too() -> None:
    head = "BEE(1)                 Hive                 BEE(1)"
    shown = f"{head}\n\nNAME\n       bee - dance\n\nOPTIONS\n       -d     Dance.\n"
    document, [piece] = read_text("bee.txt", shown)
    assert (document.format, document.title, piece.title_path) == ("text", "bee(1)", "bee(1)")
    struck = shown.replace("NAME", "N\bNA\bAM\bME\bE").replace("Dance", "_\bD_\ba_\bn_\bc_\be")
    document, [piece] = read_text("bee.txt", struck)
    assert (document.format, document.title) == ("man", "bee(1)")
    assert "NAME" in piece.text
    assert "Dance." in piece.text
    document, _ = read_text("bee.txt", "NAME\n    bee, bees - dance in the dark\n\nOPTIONS\n    -d  Dance.\n")
    assert document.title == "bee"


@pytest.mark.parametrize(
    "text", ["A log line.\n", "1. One\n2. Two\n", "'tis a text\n", ".5 is a half\n", ".gitignore\n"]
)
def test_a_text_whose_name_ends_like_a_pages_is_a_text(text: str) -> None:
    assert read_text("syslog.1", text)[0].format == "text"


@pytest.mark.parametrize(
    "line", [".if n ", "\\", "\\f[", "\\[", "\\h'", ".B " + '"' * 50, ".TS", ".de X", "\\*(", ".It Fl"]
)
def test_hostile_pages_end(line: str) -> None:
    document, _ = read_text("a.1", ".TH A 1\n.SH NAME\na \\- b\n" + f"{line}\n" * 20_000)
    assert document.title == "a(1)"
    assert read_text("a.1", ".TH A 1\n.SH NAME\na\n" + line * 10_000)[0].title == "a(1)"


def test_a_table_that_does_not_end_is_read() -> None:
    _, pieces = read_text("bee.1", ".TH BEE 1\n.SH HOURS\n.TS\nl l.\nTown\tHours\nBasel\t5\n")
    assert "Town | Hours\nBasel | 5" in "\n".join(piece.text for piece in pieces)


def test_a_name_that_never_comes_is_not_searched_from_each_blank() -> None:
    _, pieces = read_text("a.txt", f"NAME\n{' ' * 400_000}\nThe bees dance.\n")
    assert pieces[-1].text.endswith("The bees dance.")


def test_letters_have_the_names_of_roff() -> None:
    source = (
        r".TH A 1"
        + "\n.SH NAME\n"
        + r"\[:o]\(:u\('E\(^o\(,C\(vz\(oa\(/l \[ff]\(Fi \(*a\(*W \(Fox\(Fc \(12 \[u00E9] x\[nosuch]y\(zz"
    )
    _, [piece] = read_text("a.1", source)
    assert piece.text.split("\n\n")[1] == "öüÉôÇžåł ffffi αΩ «x» ½ é xy"


def test_other_pages_are_called_with_their_sections() -> None:
    _, [piece] = read_text(
        "a.1", ".Dd x\n.Dt A 1\n.Sh SEE ALSO\n.Xr chmod 1 ,\n.Xr X509 3ssl\n.Pq Xr ls 1\nSee\n.Xr alone\n"
    )
    assert piece.text.split("\n\n")[1] == "chmod(1),\nX509(3ssl)\n(ls(1))\nSee\nalone"
