from __future__ import annotations

from agentgw_daemon.workers.retrieval.reading.blocks import Outline
from agentgw_daemon.workers.retrieval.reading.formats.markup.markdown import markdown_blocks
from agentgw_daemon.workers.retrieval.reading.values import ReadingLimits
from tests.root import ROOT
from tests.workers.retrieval.reading.counting import by_pieces
from tests.workers.retrieval.reading.reads import assert_covers, assert_sound, read_path, read_text

TEXT = """---
title: "The Guide"
tags: [a]
---

# A *guide* to [things](http://example.org)

First words.
More words.

Sub title
---------

- one
- two

```sh
# not a heading

make
```

| a | b |
|---|---|
| 1 | 2 |

[ref]: http://example.org

    indented code

<div>
raw
</div>

***

## Last ##
"""


def shown(text: str) -> list[tuple[str, str, str]]:
    """Kind, path and first line of each block."""
    return [
        (block.kind, " > ".join(block.path), text[block.start : block.end].strip().split("\n")[0])
        for block in markdown_blocks(text, Outline())
    ]


def test_blocks_are_told_apart_and_stand_under_their_headings() -> None:
    assert shown(TEXT) == [
        ("whole", "", "---"),
        ("heading", "A guide to things", "# A *guide* to [things](http://example.org)"),
        ("prose", "A guide to things", "First words."),
        ("heading", "A guide to things > Sub title", "Sub title"),
        ("prose", "A guide to things > Sub title", "- one"),
        ("whole", "A guide to things > Sub title", "```sh"),
        ("whole", "A guide to things > Sub title", "| a | b |"),
        ("prose", "A guide to things > Sub title", "[ref]: http://example.org"),
        ("whole", "A guide to things > Sub title", "indented code"),
        ("whole", "A guide to things > Sub title", "<div>"),
        ("lines", "A guide to things > Sub title", "***"),
        ("heading", "A guide to things > Last", "## Last ##"),
    ]


def test_line_ends_of_any_system_give_the_same_blocks() -> None:
    expected = [(kind, path) for kind, path, _ in shown(TEXT)]
    assert [(kind, path) for kind, path, _ in shown(TEXT.replace("\n", "\r\n"))] == expected
    # A Macintosh of before 2001 knew nothing of YAML.
    old = TEXT.partition("---\n\n")[2].replace("\n", "\r")
    assert [(kind, path) for kind, path, _ in shown(old)] == expected[1:]


def test_the_title_is_the_front_matters_or_the_first_heading() -> None:
    assert read_text("a.md", TEXT)[0].title == "The Guide"
    assert read_text("a.md", "text\n\n## Second\n\n# First\n")[0].title == "Second"
    assert read_text("a.md", "no heading")[0].title == "a.md"


def test_the_documents_of_this_project_are_cut_and_covered() -> None:
    for path in (ROOT / "README.md", ROOT / "docs" / "architecture.md", ROOT / "docs" / "protocol.md"):
        document, pieces = read_path(str(path))
        assert document.format == "markdown"
        assert_sound(pieces, ReadingLimits(), by_pieces)
        assert_covers(pieces, path.read_bytes())
    assert any(
        piece.title_path == "Architecture > Decisions" for piece in read_path(str(ROOT / "docs/architecture.md"))[1]
    )
