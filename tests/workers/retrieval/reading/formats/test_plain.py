from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.blocks import Outline
from agentgw_daemon.workers.retrieval.reading.formats.plain import plain_blocks, restructured_blocks
from agentgw_daemon.workers.retrieval.reading.values import ReadingLimits
from tests.root import ROOT
from tests.workers.retrieval.reading.counting import by_pieces
from tests.workers.retrieval.reading.reads import assert_covers, assert_sound, read_path, read_text

MANUAL = """LS(1)                            User Commands                           LS(1)

NAME
       ls - list directory contents

DESCRIPTION
       List information about the FILEs. Sort entries alphabetically.

       Mandatory arguments are mandatory.
"""

RESTRUCTURED = """=====
Guide
=====

Welcome to it.

Install
=======

Get it::

    apt install it

    it --version

Then:

.. code-block:: python
   :linenos:

   import it

On Linux
--------

+-----+-----+
| a   | b   |
+=====+=====+
| 1   | 2   |
+-----+-----+

=====  =====
A      B
=====  =====
False  True
=====  =====

Use
===
Run it. A line that is
----- not underlined.
"""


def shown(text: str, blocks: object) -> list[tuple[str, str, str]]:
    """Kind, path and first line of each block."""
    return [
        (block.kind, " > ".join(block.path), text[block.start : block.end].strip().split("\n")[0]) for block in blocks
    ]  # type: ignore[attr-defined]


def test_a_manual_page_is_cut_at_its_titles() -> None:
    assert shown(MANUAL, plain_blocks(MANUAL, Outline())) == [
        ("prose", "", "LS(1)                            User Commands                           LS(1)"),
        ("heading", "NAME", "NAME"),
        ("prose", "NAME", "ls - list directory contents"),
        ("heading", "DESCRIPTION", "DESCRIPTION"),
        ("prose", "DESCRIPTION", "List information about the FILEs. Sort entries alphabetically."),
        ("prose", "DESCRIPTION", "Mandatory arguments are mandatory."),
    ]


def test_underlined_titles_have_levels_in_the_order_they_come() -> None:
    blocks = shown(RESTRUCTURED, restructured_blocks(RESTRUCTURED, Outline()))
    assert [path for kind, path, _ in blocks if kind == "heading"] == [
        "Guide", "Guide > Install", "Guide > Install > On Linux", "Guide > Use"
    ]  # fmt: skip
    assert [first for kind, _, first in blocks if kind == "whole"] == [
        "apt install it", ".. code-block:: python", "import it", "+-----+-----+", "=====  ====="
    ]  # fmt: skip
    assert blocks[-1] == ("prose", "Guide > Use", "Run it. A line that is")


def test_an_example_keeps_its_blank_lines() -> None:
    _, pieces = read_text("a.rst", RESTRUCTURED)
    assert any("    apt install it\n\n    it --version" in piece.text for piece in pieces)


def test_prose_is_not_taken_for_titles() -> None:
    for text in ("I AM HERE.\n\nx", "OK, SO:\n   x", "- item\n- item\n", "2024\n\nx"):
        assert [kind for kind, _, _ in shown(text, plain_blocks(text, Outline()))].count("heading") == 0, text


@pytest.mark.parametrize("name", ["Apache-2.0", "GPL-3", "MPL-2.0"])
def test_licences_that_every_debian_has_are_cut_and_covered(name: str) -> None:
    path = Path("/usr/share/common-licenses", name)
    data = path.read_bytes() if path.exists() else ROOT.joinpath("LICENSE").read_bytes()
    document, pieces = read_text(name, data.decode())
    assert document.format == "text"
    assert_sound(pieces, ReadingLimits(), by_pieces)
    assert_covers(pieces, data)


def test_our_own_licence_is_read_from_its_file() -> None:
    path = ROOT / "LICENSE"
    document, pieces = read_path(str(path))
    assert (document.format, document.size_bytes) == ("text", path.stat().st_size)
    assert_covers(pieces, path.read_bytes())
