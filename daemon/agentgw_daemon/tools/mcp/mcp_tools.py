"""The tools of MCP servers, as tools like all others: checked one by one, named after their server, never trusted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import trio

from agentgw.protocol.records.schema import dump
from agentgw_daemon.tools.declared import MAX_NAME, DeclarationRefused, fit_name, plain_text, preview, with_digest
from agentgw_daemon.tools.mcp.mcp_errors import ServerFailed
from agentgw_daemon.tools.mcp.mcp_result import failed, result_text
from agentgw_daemon.tools.mcp.mcp_server import MAX_TOOLS, McpServer
from agentgw_daemon.tools.parameters import checked_parameters
from agentgw_daemon.tools.tool import (
    Arguments,
    CallFailed,
    CallPreview,
    ToolContext,
    ToolResult,
    ToolSpec,
    bounded,
    check_agreed,
)

# Of one server, descriptions and schemas: some 60,000 tokens, more than most models' whole context.
MAX_DECLARED_BYTES: Final = 256 << 10
_KIB: Final = MAX_DECLARED_BYTES >> 10
# The protocol's own bound is 128, which not everybody keeps.
MAX_OWN_NAME: Final = 1000
# Leaves room for a name of its tools.
_PREFIX_CHARS: Final = 40


class McpTool:
    """One tool of a server. Whatever the server says of it, a call may do anything and send anything."""

    def __init__(self, server: McpServer, name: str, spec: ToolSpec) -> None:
        self.spec = spec
        self._server = server
        self._name = name

    async def describe_call(self, arguments: Arguments, context: ToolContext) -> CallPreview:
        """The server, its own name for the tool, and the arguments."""
        await trio.lowlevel.checkpoint()
        shown = preview(f"{plain_text(self._name, MAX_NAME)} of the MCP server {self._server.name}", arguments)
        return replace(shown, things=self._things())

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        """Ask the server, starting it if need be; a failure of either kind is a failed result."""
        try:
            check_agreed(context, self._things())
            result = await self._server.call(self._name, arguments)
        except CallFailed as changed:
            return ToolResult(ok=False, content=changed.text)
        except ServerFailed as error:
            return ToolResult(ok=False, content=str(error), untrusted=True)
        text = bounded(result_text(result))
        return ToolResult(ok=not failed(result), content=text, untrusted=True)

    def _things(self) -> tuple[str, ...]:
        """The server whose tool this is: names here stand for more than one once they were made to fit."""
        section = json.dumps(dump(self._server.section), sort_keys=True)
        return (
            f"server {self._server.name}",
            f"tool {self._name}",
            f"started as {hashlib.sha256(section.encode()).hexdigest()}",
        )


def tools_of(server: McpServer) -> tuple[list[McpTool], list[tuple[str, str]]]:
    """The tools the server listed last, and (name, reason) of those that cannot be used."""
    made: list[McpTool] = []
    problems: list[tuple[str, str]] = []
    listed = server.listed or ()
    taken = _Names(server.name, [_name_of(declared) for declared in listed[:MAX_TOOLS]])
    left = MAX_DECLARED_BYTES
    for declared in listed[:MAX_TOOLS]:
        try:
            tool = _tool(server, declared, taken)
            left -= _size(tool.spec)
            if left < 0:
                kept = f"the first {len(made)} are taken"
                problems.append((server.name, f"its tools are described in more than {_KIB} KiB, of which {kept}"))
                break
            made.append(tool)
        except DeclarationRefused as error:
            problems.append((plain_text(_name_of(declared), MAX_NAME) or "a tool without a name", str(error)))
    if server.listed_in_all > MAX_TOOLS:
        problems.append((server.name, f"it has {server.listed_in_all} tools, of which the first {MAX_TOOLS} are taken"))
    return made, problems


def prefix_of(server: str) -> str:
    """The prefix of the names of all tools of this server."""
    made = fit_name(server)
    return f"{made if len(made) <= _PREFIX_CHARS else with_digest(made[: _PREFIX_CHARS - 9], server)}__"


class _Names:
    """The names that a server's tools have here: each made of its own, so that it is the same in every list.

    Where several would be one, it is that tool's whose own name it is; the others' end in a digest of theirs.
    """

    def __init__(self, server: str, names: Iterable[str]) -> None:
        self._prefix = prefix_of(server)
        self._server = server
        self._known: dict[str, set[str]] = {}
        self._given: set[str] = set()
        for name in names:
            self._known.setdefault(fit_name(name), set()).add(name)

    def take(self, name: str) -> str:
        """The name here. Raises DeclarationRefused the second time."""
        if name in self._given:
            raise DeclarationRefused("another of its tools has the same name")
        self._given.add(name)
        made = fit_name(name)
        if len(self._known[made]) > 1 and name != made:
            made = with_digest(made, name)
        whole = f"{self._prefix}{made}"
        return whole if len(whole) <= MAX_NAME else with_digest(whole, f"{self._server}__{name}")


def _name_of(declared: object) -> str:
    name = declared.get("name") if isinstance(declared, dict) else None
    return name if isinstance(name, str) else ""


def _size(spec: ToolSpec) -> int:
    return len(spec.description.encode()) + len(json.dumps(spec.parameters, ensure_ascii=False).encode())


def _tool(server: McpServer, declared: object, names: _Names) -> McpTool:
    if not isinstance(declared, dict):
        raise DeclarationRefused("its declaration is not an object")
    name = _name_of(declared)
    if not 0 < len(name) <= MAX_OWN_NAME:
        raise DeclarationRefused("it has no name that can be used")
    description = plain_text(declared.get("description")) or plain_text(declared.get("title"))
    if not name.isascii():
        # The meaning of its name is lost in the name that it has here.
        description = plain_text(f"{name}: {description}" if description else name)
    spec = ToolSpec(
        name=names.take(name),
        description=description,
        parameters=checked_parameters(declared.get("inputSchema")),
        effect="network",
        outbound=True,
        untrusted=True,
    )
    return McpTool(server, name, spec)
