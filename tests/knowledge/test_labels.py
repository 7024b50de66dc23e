from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.errors import NotFound
from agentgw_daemon.knowledge.labels import check_filters, check_skills
from agentgw_daemon.skills.library import broken_at
from agentgw_daemon.skills.model import LoadedSkill
from agentgw_daemon.skills.skill_set import SkillSet
from tests.knowledge.library import library

pytestmark = pytest.mark.anyio

COOK = LoadedSkill(name="cook", description="Cooks.", tier="user", path="", instructions="Cook.")
SKILLS = SkillSet(skills={"cook": COOK}, broken=(broken_at(Path("/x/singed"), "user", ("no",)),))


@pytest.mark.parametrize("given", [(), ("cook",), ("Cook ", "singed"), ("",)])
async def test_a_skill_that_exists_is_not_refused_nor_a_broken_one(given: tuple[str, ...]) -> None:
    await check_skills(given, SKILLS)


async def test_a_skill_that_does_not_exist_is_told_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="there is no skill coook") as caught:
        await check_skills(("cook", "coook"), SKILLS)
    assert caught.value.hint == "did you mean cook?"


async def test_documents_of_a_skill_that_is_gone_can_still_be_found(tmp_path: Path) -> None:
    async with library(tmp_path) as documents:
        await documents.put("/a.md", "alpha", skills=("gone",))
        await check_skills(("gone",), SKILLS, documents.database)
        with pytest.raises(NotFound):
            await check_skills(("gone",), SKILLS)


@pytest.mark.parametrize(
    ("tags", "collection", "words", "hint"),
    [
        (("hme",), None, "no document has the tag hme", "did you mean home?"),
        (("home", "zzz"), None, "no document has the tag zzz", "`agentgw documents` shows"),
        ((), "defualt", "no collection defualt", "did you mean default?"),
        ((), "zzz", "no collection zzz", "there are: default"),
    ],
)
async def test_a_tag_or_collection_that_nothing_has_is_told(
    tmp_path: Path, tags: tuple[str, ...], collection: str | None, words: str, hint: str
) -> None:
    async with library(tmp_path) as documents:
        await documents.put("/a.md", "alpha", tags=("home",))
        await check_filters(("home",), "default", documents.database)
        with pytest.raises(NotFound, match=words) as caught:
            await check_filters(tags, collection, documents.database)
        assert hint in caught.value.hint


async def test_without_filters_an_empty_library_is_no_error(tmp_path: Path) -> None:
    async with library(tmp_path) as documents:
        nothing: Any = ()
        await check_filters(nothing, None, documents.database)
