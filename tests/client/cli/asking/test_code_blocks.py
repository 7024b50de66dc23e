from __future__ import annotations

import pytest

from agentgw.cli.asking.code_blocks import last_block


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no code", None),
        ("a\n```py\nx = 1\n```\nb", "x = 1\n"),
        ("```\none\n```\n\n~~~sh\ntwo\n~~~\n", "two\n"),
        ("````\n```\ninner\n```\n````\n", "```\ninner\n```\n"),
        ("```\nnot closed", "not closed"),
        ("1. item\n   ```py\n   if x:\n       y\n  z\n   ```\n", "if x:\n    y\nz\n"),
        ("10. item\n\n    ```\n    x\n    ```\n", "x\n"),
        ("- ```sh\n  ls\n  ```\n- done", "ls\n"),
        ("```sh\r\nls -l\r\n```\r\nThat is it.\r\n", "ls -l\n"),
        ("~~~ `x`\n```\n~~~~", "```\n"),
        ("~~~\n~~\n```\n~~~ no\n~~~", "~~\n```\n~~~ no\n"),
        ("```\nls\n```\nThat lists.\n```", "ls\n"),
        ("```\nls\n```\nAnd:\n```\ncat", "cat"),
        ("```\n\n\tx\n```", "\n\tx\n"),
        ("```\n", None),
        ("``` not a fence ``` in a line", None),
        ("```\n```", ""),
    ],
)
def test_the_last_block_of_code(text: str, code: str | None) -> None:
    assert last_block(text) == code
