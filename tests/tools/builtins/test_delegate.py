"""`delegate_to_agent` by hand: it belongs to turns."""

from __future__ import annotations

import pytest

from agentgw_daemon.tools.builtins.delegate import DELEGATE
from agentgw_daemon.tools.tool import ToolContext
from tests.tools.calling import failure

pytestmark = pytest.mark.anyio


async def test_outside_of_a_turn_it_says_where_it_works(context: ToolContext) -> None:
    text = await failure(DELEGATE, context, skill="code-assistant", task="do it")
    assert "agentgw-sub-agents" in text
