"""The text of the service's files, made from the shipped templates. Does no I/O beyond reading these."""

from __future__ import annotations

import os
import plistlib

from agentgw.local.files.shipped import shipped
from agentgw.local.service.files import MARK
from agentgw.local.service.setup import ServiceSetup
from agentgw.protocol.records.schema import record

LABEL = "org.agentgw.daemon"


@record
class UnitDirectories:
    """The directories that systemd has a word for: `%h` and `%t`."""

    home: str
    runtime: str


def socket_unit(setup: ServiceSetup, places: UnitDirectories) -> str:
    """agentgw.socket."""
    return _with_value(_template("systemd-user", "agentgw.socket"), "ListenStream", _path(setup.socket, places))


def service_unit(setup: ServiceSetup, places: UnitDirectories) -> str:
    """agentgw.service."""
    program, *arguments = (_path(word, places) for word in setup.command)
    # `$` means something in arguments, and nothing in the name of the program.
    words = (program, *(word.replace("$", "$$") for word in arguments), "--activated")
    lines = [" ".join(map(_word, words))]
    lines += [f"Environment={_word(f'{name}={_path(value, places)}')}" for name, value in setup.variables]
    return _with_value(_template("systemd-user", "agentgw.service"), "ExecStart", "\n".join(lines))


def strict_drop_in(setup: ServiceSetup, places: UnitDirectories) -> str:
    """The drop-in that leaves the daemon its own directories to write and nothing else."""
    # `-`: of one that is missing the daemon speaks clearer than systemd.
    writable = " ".join(_word(f"-{_path(path, places)}") for path in setup.writable)
    return _with_value(_template("systemd-user", "strict.conf"), "ReadWritePaths", writable)


def agent_plist(setup: ServiceSetup, log: str) -> str:
    """The launchd agent."""
    values = plistlib.loads(_template("launchd", f"{LABEL}.plist").encode())
    values["ProgramArguments"] = [*setup.command, "--activated"]
    values["EnvironmentVariables"] = dict(setup.variables)
    values["Sockets"]["rpc"]["SockPathName"] = setup.socket
    values["RunAtLoad"] = setup.at_login
    values["StandardOutPath"] = values["StandardErrorPath"] = log
    text = plistlib.dumps(values, sort_keys=False).decode()
    return text.replace("<plist ", f"<!-- {MARK}`, which writes it again. -->\n<plist ", 1)


def _template(folder: str, name: str) -> str:
    with open(os.path.join(shipped(folder), name), encoding="utf-8") as file:
        return file.read()


def _with_value(text: str, key: str, value: str) -> str:
    """The unit with another value of a key that it has once."""
    before, mark, rest = text.partition(f"\n{key}=")
    assert mark, f"the template has no {key}"
    return f"{before}{mark}{value}\n{rest.partition(chr(10))[2]}"


def _path(path: str, places: UnitDirectories) -> str:
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
