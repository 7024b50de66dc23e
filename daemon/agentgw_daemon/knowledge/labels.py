"""Names that documents are kept by: skills, tags, collections. Filters by an unknown name are refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from agentgw.protocol.errors import NotFound
from agentgw_daemon.storage.documents.selection import labels_of
from agentgw_daemon.text.near import hint_for

if TYPE_CHECKING:
    from agentgw_daemon.skills.skill_set import SkillSet
    from agentgw_daemon.storage.database import Database


async def check_skills(given: Iterable[str], skills: SkillSet, database: Database | None = None) -> None:
    """Raises NotFound for a name that is no skill's. With a database, a name that documents are labelled with will do.

    A document for a skill that does not exist would be hidden from all that do.
    """
    wanted = labels_of("skill", tuple(given))
    known = {one.name for one in skills.listing()}
    if not known.issuperset(wanted) and database is not None:
        known |= await database.documents.labels("skill")
    _check("skill", wanted, known, "there is no skill", "`agentgw skills` lists them")


async def check_filters(tags: Iterable[str], collection: str | None, database: Database) -> None:
    """Raises NotFound for a tag that no document has, and for a collection that does not exist."""
    if wanted := labels_of("tag", tuple(tags)):
        known = await database.documents.labels("tag")
        _check("tag", wanted, known, "no document has the tag", "`agentgw documents` shows those there are")
    if collection is not None:
        names = await database.embeddings.collections()
        otherwise = f"there are: {', '.join(names)}" if names else "`agentgw ingest PATH` makes the first one"
        _check("collection", (collection,), names, "no collection", otherwise)


def _check(
    kind: Literal["skill", "tag", "collection"], wanted: Iterable[str], known: Iterable[str], words: str, otherwise: str
) -> None:
    names = sorted(known)
    for one in wanted:
        if one not in names:
            raise NotFound(f"{words} {one[:64]}", hint=hint_for(one, names, otherwise), kind=kind, id=one[:64])
