"""Code with colours, in time that is bounded whatever the code is."""

from __future__ import annotations

import re
from html import unescape
from itertools import count

import pytest

from agentgw_daemon.gateway.pages.chat.code import highlighted


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


@pytest.mark.parametrize("language", ["python", "java", "html", "nosuch", "", "PY"])
@pytest.mark.parametrize("code", ["", "x\n", "\n\n  a < b\n\n", 'f("<script>")\n', "\ta\n"])
def test_no_character_of_the_code_is_lost(language: str, code: str) -> None:
    assert text_of(highlighted(code, language)) == code


def test_where_the_time_ends_the_rest_is_plain() -> None:
    code = "return 1\n" * 100
    seconds = count(step=0.05)
    html = highlighted(code, "python", lambda: next(seconds))
    assert text_of(html) == code
    assert 1 <= html.count('class="t-k"') < 100
