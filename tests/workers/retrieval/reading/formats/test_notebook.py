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


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cells": 1}', "[" * 100_000])
def test_a_damaged_notebook_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="is a damaged notebook"):
        read_text("a.ipynb", text)
