from __future__ import annotations

import json

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.reads import read_text


def test_cells_are_read_and_outputs_are_not() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "\n", "We count."]},
        {"cell_type": "code", "source": "count('```')\nprint(1)", "outputs": [{"text": "secret"}]},
        {"cell_type": "markdown", "source": "## Result\n\nIt is one. " + "Really. " * 60},
        "junk",
        {"cell_type": "code", "source": 5},
    ]
    document, pieces = read_text("a.ipynb", json.dumps({"cells": cells, "nbformat": 4}))
    assert (document.format, document.title) == ("notebook", "Study")
    assert pieces[0].text.startswith("# Study\n\nWe count.\n\n```\ncount('```')\nprint(1)\n```")
    assert pieces[-1].title_path == "Study > Result"
    assert not any("secret" in piece.text for piece in pieces)


def test_a_fence_inside_of_a_cell_does_not_end_it() -> None:
    source = '"""\n```\n# no heading\n```\n"""'
    _, [piece] = read_text("a.ipynb", json.dumps({"cells": [{"cell_type": "code", "source": source}]}))
    assert piece.text == f"````\n{source}\n````"
    assert piece.title_path == ""


@pytest.mark.parametrize("text", ["[]", "{", '{"cells": 1}', "[" * 100_000, '{"worksheets": 1}'])
def test_a_damaged_notebook_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="is a damaged notebook"):
        read_text("a.ipynb", text)


def test_old_notebooks_are_read() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Results of", " bees"]},
        {"cell_type": "markdown", "source": ["They *dance*."]},
        {"cell_type": "code", "input": ["dance(", "3)"], "prompt_number": 1, "outputs": [{"text": "secret"}]},
    ]
    for version in (2, 3):
        old = {
            "nbformat": version,
            "metadata": {"name": "Hive"},
            "worksheets": [{"cells": cells[:1]}, {"cells": cells[1:]}],
        }
        document, [piece] = read_text("a.ipynb", json.dumps(old))
        assert document.title == "Results of bees"
        assert piece.text == "## Results of bees\n\nThey *dance*.\n\n```\ndance(3)\n```"
    first = {"nbformat": 1, "cells": [{"cell_type": "code", "code": "dance()"}, {"cell_type": "text", "text": "Yes."}]}
    assert read_text("a.ipynb", json.dumps(first))[1][0].text == "```\ndance()\n```\n\nYes."


def test_a_notebook_whose_cells_are_empty_is_refused() -> None:
    with pytest.raises(Unreadable, match="all of its cells are empty"):
        read_text("a.ipynb", json.dumps({"cells": [{"cell_type": "code", "source": []}], "nbformat": 4}))


def test_an_empty_notebook_is_empty() -> None:
    assert read_text("a.ipynb", " \n")[1] == []
