"""The parts of a stored turn's prompt are those it was sent with."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgw.protocol.calls.sessions import SessionCompactParams
from agentgw.protocol.calls.turns import TurnIdParams
from agentgw.protocol.errors import ModelUnavailable, NotFound
from agentgw.protocol.types import File
from agentgw_daemon.server.handlers import turn
from agentgw_daemon.turns.earlier.compacting import compact
from tests.agent.scripted import furnish
from tests.fakes import request_to
from tests.turns.house import House, house

pytestmark = pytest.mark.anyio


async def parts(h: House, turn_id: str) -> list[tuple[str, int]]:
    counted = await turn.parts(request_to(h.services, h.turns), TurnIdParams(turn_id=turn_id))
    assert sum(part.tokens for part in counted.parts) == counted.tokens
    assert counted.n_ctx_tokens == 4096
    return [(part.name, part.tokens) for part in counted.parts]


async def test_the_parts_make_up_the_prompt_that_was_sent(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        furnish(h)
        first = await h.ask("hi there")
        assert await parts(h, first.turn_id) == [
            ("template", 2), ("skill general-assistant", 1), ("tool look", 1), ("tool change", 1), ("tool post", 1),
            ("message", 1),
        ]  # fmt: skip
        second = await h.ask("and now this", session_id=first.session_id, tools=(), system="Be very brief.")
        assert await parts(h, second.turn_id) == [("template", 4), ("system", 2), ("earlier turns", 2), ("message", 2)]
        request = h.engine.requests[-1]
        assert (
            sum(count for _, count in await parts(h, second.turn_id))
            == (
                await h.engine.count(request.messages)  # type: ignore[arg-type]  # the fake takes any
            ).tokens
        )


async def test_files_are_of_the_message_for_their_texts_are_in_it(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        asked = await h.ask("what is it", files=(File(name="a.txt", text="one two three"),), tools=())
        # The words of the message, the file's name, two fences, three words of the file.
        assert (await parts(h, asked.turn_id))[-1] == ("message", 3 + 1 + 2 + 3 - 1)


async def test_a_summary_is_a_part(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        first = await h.ask("a question " * 30, tools=())
        session_id = first.session_id
        await h.ask("another", session_id=session_id, tools=())
        await compact(h.services, SessionCompactParams(session_id=session_id))
        third = await h.ask("third", session_id=session_id, tools=())
        found = dict(await parts(h, third.turn_id))
        # Six words of ours, two of the model's, seven of the pair's other half; the roles are joined to first words.
        assert found["summary"] == 6 + 2 + 7 - 2
        assert found["earlier turns"] == 3 - 2


async def test_a_model_that_is_gone_cannot_count(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        asked = await h.ask()
        h.services.models.resolve_to_answer = _gone  # type: ignore[method-assign]  # the model was removed
        with pytest.raises(ModelUnavailable):
            await parts(h, asked.turn_id)
        with pytest.raises(NotFound):
            await parts(h, "t-nosuch")


async def _gone(text: str | None) -> None:
    raise ModelUnavailable(f"no model {text}", model=text or "")
