"""From the text of the jobs file to jobs: each entry by itself, so that a bad one is told and the others run.

Does no I/O. Problems carry the line; whoever shows them adds the file.
"""

from __future__ import annotations

import difflib
import re
from datetime import tzinfo
from pathlib import Path
from typing import Final

from agentgw.protocol.schema import record
from agentgw_daemon.scheduler.document import (
    Bad,
    DocumentRefused,
    Listing,
    Mapping,
    Node,
    Scalar,
    parse_document,
)
from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.scheduler.settings import KEYS, EntryRefused, job_of

# One person's jobs; each is asked for its next time when the file is read.
MOST_JOBS: Final = 500
_TOP: Final = "jobs"


@record
class Problem:
    """Fault that keeps an entry, or the whole file, from being used. `job` is the entry's name where it can be
    read.
    """

    line: int
    reason: str
    job: str | None = None


@record
class JobsFileContents:
    """Content of the jobs file. `complete` when nothing in it was left out, so that who is not in it is gone."""

    jobs: tuple[Job, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def complete(self) -> bool:
        """Tells whether every entry was understood."""
        return not self.problems


def read_entries(text: str, *, home: Path, zone: tzinfo) -> JobsFileContents:
    """All jobs and problems of a text. `home` is what ~ means, `zone` the machine's, to check times with."""
    text = text.removeprefix("\ufeff")
    problems: list[Problem] = []
    try:
        nodes = _items(parse_document(text), problems)
    except DocumentRefused as refused:
        problems.append(Problem(line=refused.line, reason=refused.reason))
        nodes = _salvaged(text)
    jobs: dict[str, Job] = {}
    for number, node in enumerate(nodes):
        if number == MOST_JOBS:
            problems.append(Problem(line=node.span.line, reason=f"a file holds at most {MOST_JOBS} jobs"))
            break
        try:
            job = job_of(node, home=home, zone=zone)
            if job.name in jobs:
                raise EntryRefused(
                    node.span.line, f"the name {job.name!r} is taken by the job in line {jobs[job.name].line}"
                )
            jobs[job.name] = job
        except EntryRefused as refused:
            problems.append(Problem(line=refused.line, reason=refused.reason, job=_name(node)))
    return JobsFileContents(jobs=tuple(jobs.values()), problems=tuple(problems))


def _items(document: Node | None, problems: list[Problem]) -> tuple[Node, ...]:
    """The entries of a document; what is wrong around them goes to the problems."""
    match document:
        case None:
            return ()
        case Scalar() if document.plain and document.text in ("", "~", "null"):
            return ()
        case Bad():
            problems.append(Problem(line=document.span.line, reason=document.reason))
            return ()
        case Mapping():
            pass
        case Listing():
            problems.append(Problem(line=document.span.line, reason="the file is a list; put `jobs:` above it"))
            return ()
        case Scalar():
            problems.append(Problem(line=document.span.line, reason="the file is not a mapping with `jobs:`"))
            return ()
    for key, _ in document.entries:
        if key.text != _TOP:
            near = difflib.get_close_matches(key.text, (_TOP,), n=1)
            hint = "; did you mean jobs?" if near and document.get(_TOP) is None else f"; there is only `{_TOP}`"
            if key.text in KEYS:
                hint = "; keys of a job stand in an entry below `jobs:`"
            problems.append(Problem(line=key.span.line, reason=f"unknown key {key.text[:64]!r}{hint}"))
    match document.get(_TOP):
        case None:
            return ()
        case Scalar(plain=True, text="" | "~" | "null"):
            return ()
        case Listing(items=items):
            return items
        case Bad() as bad:
            problems.append(Problem(line=bad.span.line, reason=bad.reason))
        case other:
            problems.append(Problem(line=other.span.line, reason="`jobs` is not a list; each entry begins with `- `"))
    return ()


def _name(node: Node) -> str | None:
    named = node.get("name") if isinstance(node, Mapping) else None
    return named.text[:100] if isinstance(named, Scalar) else None


def _salvaged(text: str) -> tuple[Node, ...]:
    """The entries that can be read by themselves, of a text that cannot be read as a whole.

    An entry is what stands from a dash in the column of the first one below `jobs:` to the next such dash. Only block
    style is cut like this; where a text in quotes has a dash there, its two halves are no entries and are left out.
    """
    found = re.search(r"^jobs:[ \t]*(?:#.*)?$\n(?:[ \t]*(?:#.*)?\r?\n)*( *)- ", text, re.MULTILINE)
    if found is None:
        return ()
    dash = re.compile(rf"^{found[1]}-(?=[ \t\r\n])", re.MULTILINE)
    starts = [match.start() for match in dash.finditer(text, found.start())][: MOST_JOBS + 1]
    nodes: list[Node] = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        try:
            # Empty lines before it keep its lines' numbers.
            node = parse_document("\n" * text.count("\n", 0, start) + text[start:end])
        except DocumentRefused:
            continue
        if isinstance(node, Listing) and len(node.items) == 1 and isinstance(node.items[0], Mapping):
            nodes.append(node.items[0])
    return tuple(nodes)
