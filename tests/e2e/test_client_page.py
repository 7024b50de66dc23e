"""The examples of docs/client.md, run as they stand against one daemon, by its built-in model."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.e2e.home import Home
from tests.patience import PATIENCE_S
from tests.root import ROOT

pytestmark = pytest.mark.e2e

PAGE = ROOT / "docs" / "client.md"
SAID = (
    "why is the sky blue?\n",
    "remember the number 7\nwhich number? stop 2\n"
    "['remember the number 7', 'remember the number 7', 'which number?', 'which number?']\n",
    "['code-assistant', 'general-assistant']\nnot found: no-such-skill\n",
    "one |two|\n['a', 'b', 'c']\n",
    "hello from trio\n",
)
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_every_example_of_the_page_is_run() -> None:
    assert len(EXAMPLES) == len(SAID)


@pytest.mark.parametrize(("code", "said"), list(zip(EXAMPLES, SAID, strict=True)))
def test_an_example_prints_what_it_should(shared_home: Home, code: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=shared_home.environ, cwd=shared_home.work, capture_output=True,
        text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert (done.stderr, done.stdout) == ("", said)
