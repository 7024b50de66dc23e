"""Finding one session, turn or document by its id, or by the beginning or the end of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from agentgw.protocol.errors import InvalidParams, NotFound

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

_TABLES: Final = {"session": "sessions", "turn": "turns", "document": "documents"}

# As listings on a terminal show them, and a little less. A typing error in a beginning must not find an end by chance.
_LEAST_END: Final = 5


def find_id(db: sqlite_utils.Database, kind: Literal["session", "turn", "document"], given: str) -> str:
    """The id that `given` is, or that alone begins with it, or else alone ends with it (`s-` may stand before the end).

    Raises NotFound, or InvalidParams when several do.
    """
    table = _TABLES[kind]
    # Everything that begins with `given` sorts between it and it followed by the last character there is.
    found = db.execute(
        f"SELECT id FROM {table} WHERE id >= ? AND id <= ? ORDER BY id LIMIT 2", (given, given + "\U0010ffff")
    ).fetchall()
    how = "begin"
    if not found and len(end := given.removeprefix(f"{kind[0]}-")) >= _LEAST_END:
        how = "end"
        found = db.execute(
            f"SELECT id FROM {table} WHERE substr(id, ?) = ? ORDER BY id LIMIT 2", (-len(end), end)
        ).fetchall()
    if not given or not found:
        raise NotFound(f"no {kind} {given[:64]}", hint=f"`agentgw {_LISTING[kind]}` lists them", kind=kind, id=given)
    if len(found) > 1 and found[0][0] != given:
        raise InvalidParams(
            f"several {kind}s {how} with {given}",
            hint="give more of the id",
            path=f"{kind}_id",
            reason="ambiguous",
        )
    return str(found[0][0])


_LISTING: Final = {"session": "sessions", "turn": "turns --all", "document": "documents"}
