from __future__ import annotations

import pytest

from agentgw_daemon.system.changes import RACY_NS, would_show

NOW_NS = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("age_ns", "shown"),
    [(0, False), (4_000_000, False), (RACY_NS, False), (RACY_NS + 1, True), (10**12, True), (-(10**12), True)],
)
def test_a_later_change_shows_unless_the_last_one_was_a_moment_ago(age_ns: int, shown: bool) -> None:
    assert would_show(NOW_NS - age_ns, NOW_NS) is shown
