from __future__ import annotations

import itertools

import pytest

from agentgw import __version__
from agentgw.local.lifetime.versions import is_older

IN_ORDER = (
    "3.9.9", "4.0.0.dev0", "4.0.0.dev1", "4.0.0a1.dev2", "4.0.0a1", "4.0.0a2", "4.0.0b1", "4.0.0rc1", "4.0.0rc10",
    "4.0.0", "4.0.0.post1", "4.0.1.dev0", "4.0.1", "4.1", "4.10.0", "5",
)  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), list(itertools.combinations(IN_ORDER, 2)))
def test_the_order_is_that_of_pep_440(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)


@pytest.mark.parametrize("same", [("4.0", "4.0.0"), ("4.0.0+local", "4.0.0"), (__version__, __version__)])
def test_equal_versions_are_not_older(same: tuple[str, str]) -> None:
    assert not is_older(*same)
    assert not is_older(*reversed(same))


@pytest.mark.parametrize("odd", ["", "None", "v4", "4.0.0 beta", "main"])
def test_what_cannot_be_read_is_not_older(odd: str) -> None:
    assert not is_older(odd, __version__)
    assert not is_older(__version__, odd)
