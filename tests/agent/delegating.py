"""Teams of scripted agents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest, text_of
from agentgw_daemon.skills.model import LoadedSkill
from tests.agent.scripted import Step, script
from tests.turns.house import House, house


def skill(name: str, *sub_agents: str, **more: Any) -> LoadedSkill:
    return LoadedSkill(
        name=name, description=f"Does {name}.", tier="shipped", path="", instructions=f"You are {name}.",
        sub_agents=sub_agents, **more,
    )  # fmt: skip


def task(to: str, text: str = "do it") -> list[tuple[str, dict[str, Any]]]:
    return [("delegate_to_agent", {"skill": to, "task": text})]


def scripted_team(**parts: list[Step] | Any) -> Any:
    """The model: a script for each skill, told apart by the system text. A script may also be a function."""
    scripts = {name: script(*steps) if isinstance(steps, list) else steps for name, steps in parts.items()}

    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        name = text_of(request.messages[0]).removeprefix("You are ").removesuffix(".")
        async for event in scripts[name](request):
            yield event

    return speak


@asynccontextmanager
async def team(folder: Path, *skills: LoadedSkill, **parts: Any) -> AsyncIterator[House]:
    async with house(folder, scripted_team(**parts)) as h:
        h.skills = {one.name: one for one in (skills or (skill("boss", "worker"), skill("worker")))}
        yield h


def requests_of(h: House, name: str) -> list[GenerationRequest]:
    return [one for one in h.engine.requests if text_of(one.messages[0]) == f"You are {name}."]


async def stored(h: House) -> tuple[Any, ...]:
    return (await h.database.turns.list()).turns
