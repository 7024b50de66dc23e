"""Names of tools in a request: a typo is told before the turn begins, what is left out is told in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.calls.turns import TurnStartParams
from agentgw.protocol.errors import NotFound
from agentgw_daemon.agent.named_tools import named_in
from tests.agent.scripted import furnish, script
from tests.turns.frames import watched
from tests.turns.house import house

pytestmark = pytest.mark.anyio


def test_words_about_asking_name_no_tool() -> None:
    params = TurnStartParams(message="hi", tools=("look", "post"), approvals=("post", "change", "ask"))
    assert named_in(params) == ("look", "post", "change")
    assert named_in(TurnStartParams(message="hi", approvals=("deny",))) == ()


@pytest.mark.parametrize(
    ("params", "hint"),
    [
        ({"tools": ("look", "chnge")}, "did you mean change?"),
        ({"tools": ("zzz",)}, "`agentgw tools` lists them"),
        ({"approvals": ("pots", "ask")}, "did you mean post?"),
        ({"tools": ("look,change",)}, ""),
        ({"tools": ("",)}, "`agentgw tools` lists them"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"detach": True}, {"ephemeral": True}])
async def test_a_tool_that_does_not_exist_is_told_and_nothing_is_stored(
    tmp_path: Path, params: dict[str, Any], hint: str, more: dict[str, Any]
) -> None:
    async with house(tmp_path, script("done")) as h:
        furnish(h)
        with pytest.raises(NotFound, match="there is no tool") as caught:
            await h.start(**params, **more)
        assert hint in caught.value.hint
        assert (await h.database.statistics()).turns == 0


async def test_a_tool_of_a_server_that_has_not_said_what_it_offers_may_be_there(tmp_path: Path) -> None:
    async with house(tmp_path, script("done")) as h:
        furnish(h)
        h.services.tools.silent = ("weather__",)
        assert (await h.ask(tools=("weather__now",))).text == "done"
        with pytest.raises(NotFound, match="no tool other__now"):
            await h.start(tools=("other__now",))


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"tools": ("look", "change"), "approvals": ("deny",)}, "change is left out: it needs a yes"),
        ({"tools": ("look", "change"), "skill": "reader"}, "change is left out: the skill reader does not allow it"),
    ],
)
async def test_a_tool_that_was_asked_for_and_is_not_shown_is_told(
    tmp_path: Path, params: dict[str, Any], reason: str
) -> None:
    async with house(tmp_path, script("done")) as h:
        furnish(h)
        h.add_skill("reader", allowed_tools=("look",))
        turn = await h.start(**params)
        await turn.wait_outcome()
        told = [one["params"]["text"] for one in await watched(turn) if one["method"] == "turn.notice"]
        assert len(told) == 1
        assert told[0].startswith(reason)
