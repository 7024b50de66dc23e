"""The text of the service's files, made from the shipped templates. Does no I/O beyond reading these."""

from __future__ import annotations

import os

from agentgw.local.service.setup import ServiceSetup
from agentgw.local.shipped import shipped
from agentgw.protocol.schema import record

LABEL = "org.agentgw.daemon"


@record
class Places:
    """The directories that systemd has a word for: `%h` and `%t`."""

    home: str
    runtime: str


def socket_unit(setup: ServiceSetup, places: Places) -> str:
    """agentgw.socket."""
    return _filled("systemd-user", "agentgw.socket", SOCKET=_path(setup.socket, places))


def service_unit(setup: ServiceSetup, places: Places) -> str:
    """agentgw.service."""
    program, *arguments = (_path(word, places) for word in setup.command)
    # `$` means something in arguments, and nothing in the name of the program.
    command = " ".join(_word(word) for word in (program, *(word.replace("$", "$$") for word in arguments)))
    lines = [f"Environment={_word(f'{name}={_path(value, places)}')}" for name, value in setup.variables]
    return _filled("systemd-user", "agentgw.service", COMMAND=command, ENVIRONMENT="\n".join(lines))


def strict_drop_in(setup: ServiceSetup, places: Places) -> str:
    """The drop-in that leaves the daemon its own directories to write and nothing else."""
    # `-`: of one that is missing the daemon speaks clearer than systemd.
    writable = " ".join(_word(f"-{_path(path, places)}") for path in setup.writable)
    return _filled("systemd-user", "strict.conf", WRITABLE=writable)


def agent_plist(setup: ServiceSetup, log: str) -> str:
    """The launchd agent."""
    return _filled(
        "launchd", f"{LABEL}.plist",
        ARGUMENTS="\n".join(f"    <string>{_xml(word)}</string>" for word in (*setup.command, "--activated")),
        ENVIRONMENT="\n".join(
            f"    <key>{name}</key>\n    <string>{_xml(value)}</string>" for name, value in setup.variables
        ),
        SOCKET=_xml(setup.socket), LOGIN="true" if setup.at_login else "false", LOG=_xml(log),
    )  # fmt: skip


def _filled(folder: str, name: str, **values: str) -> str:
    with open(os.path.join(shipped(folder), name), encoding="utf-8") as file:
        lines = file.read().splitlines()
    # A line of nothing but an empty value is left out.
    made = [_line(line, values) for line in lines if values.get(line.strip("@"), " ")]
    return "\n".join(made) + "\n"


def _line(line: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        before, mark, after = line.partition(f"@{key}@")
        if mark:
            # One placeholder a line: what was put in is never looked at again.
            return before + value + after
    return line


def _path(path: str, places: Places) -> str:
    """The path with systemd's words for the home and the runtime directory, and nothing else that it would expand."""
    for word, folder in (("%t", places.runtime), ("%h", places.home)):
        if folder and (path == folder or path.startswith(f"{folder}/")):
            return word + _plain(path[len(folder) :])
    return _plain(path)


def _plain(text: str) -> str:
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """One word of a list (systemd.syntax(7)), quoted only where it has to be."""
    if not set(text) & set(" \t\"'\\;"):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
