from __future__ import annotations

import pytest

from agentgw.cli.code_blocks import last_block


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no code", None),
        ("a\n```py\nx = 1\n```\nb", "x = 1\n"),
        ("```\none\n```\n\n~~~sh\ntwo\n~~~\n", "two\n"),
        ("````\n```\ninner\n```\n````\n", "```\ninner\n```\n"),
        ("```\nnot closed", "not closed"),
        ("1. item\n   ```\n   x\n   ```\n", "   x\n"),
        ("``` not a fence ``` in a line", None),
        ("```\n```", ""),
    ],
)
def test_the_last_block_of_code(text: str, code: str | None) -> None:
    assert last_block(text) == code
