"""Parameters, results and fields that methods of several nouns have in common."""

from __future__ import annotations

from typing import Annotated, Any

from agentgw.protocol.records.schema import Limit, record

# A relative path would begin where the daemon is, and `~` be a name. Empty: no directory is known.
DIRECTORY = r"(/[^\0]*)?"
Page = Annotated[int, "at most so many", Limit(minimum=1, maximum=1000)]
SessionRef = Annotated[str, "the session, or a unique prefix of its id", Limit(min_length=1, max_length=64)]
SkillsCwd = Annotated[
    str | None,
    "absolute path: where the user is; the skills of a trusted project count there",
    Limit(max_length=4096, pattern=DIRECTORY),
]
ModelRef = Annotated[str, "a model reference", Limit(min_length=1, max_length=4096)]
AnswerSchema = Annotated[
    dict[str, Any] | None,
    "a JSON Schema: the answer is JSON that meets it, or the error is SchemaUnmet; `stop` does not apply",
]


@record
class NoParams:
    """No parameters."""


@record
class Done:
    """The answer of a method that has done its work and has nothing to tell."""

    ok: bool = True
