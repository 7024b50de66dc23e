"""From webhooks.yaml to webhooks: each entry by itself, so that a bad one is told and the others are used.

A message about an entry never quotes its secrets or its address.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agentgw.protocol.calls.webhooks import WebhookEvent
from agentgw.protocol.records.schema import record
from agentgw_daemon.config.settings import named_variable
from agentgw_daemon.system.text_file import UnreadableFile, read_text_file
from agentgw_daemon.text.yaml_document import Node
from agentgw_daemon.text.yaml_entries import EntryProblem, EntryRefused, EntryValues, named_entries
from agentgw_daemon.tools.web.addresses import literal_of
from agentgw_daemon.webhooks.hook import EVENTS, Hook, reach_of
from agentgw_daemon.webhooks.signing import key_of

# Each is a task and a queue of its own.
MOST_HOOKS: Final = 50
MAX_BYTES: Final = 65_536
KEYS: Final = ("name", "url", "events", "secret", "previous_secret", "enabled", "allow_local")
_MAX_URL_CHARS: Final = 2048
# Keys of HMAC-SHA256 are 32 bytes; the specification allows up to 64.
_MAX_SECRET_CHARS: Final = 512
_EVERY_EVENT: Final = "*"
_HOST: Final = re.compile(r"[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\]")
# A key that somebody wrote where a word was meant.
_SECRET: Final = re.compile(r"whsec_\S+")


@record
class HooksFile:
    """The webhooks and the problems of the file. `exposed`: others than the user may read it."""

    path: Path
    hooks: tuple[Hook, ...] = ()
    found: tuple[EntryProblem, ...] = ()
    exposed: bool = False

    @property
    def problems(self) -> tuple[str, ...]:
        """One line a problem, with file and line."""
        return tuple(f"{self.path}:{one.line}: {_SECRET.sub('***', one.reason)}" for one in self.found)

    @property
    def secrets(self) -> frozenset[str]:
        """Every text of the file that nobody is shown: secrets, and addresses that hold a key."""
        found = {secret for hook in self.hooks for secret in hook.secrets}
        found |= {secret.removeprefix("whsec_") for secret in found}
        return frozenset(found | {part for hook in self.hooks for part in _keys_in(hook.url)})


def read_hooks(path: Path, environ: Mapping[str, str]) -> HooksFile:
    """The webhooks of a file; of no file, none. Whatever is wrong with it is a problem, never an exception."""
    try:
        _, text = read_text_file(path, MAX_BYTES)
        exposed = bool(os.stat(path).st_mode & 0o077)
    except FileNotFoundError:
        return HooksFile(path=path)
    except UnreadableFile as error:
        return HooksFile(path=path, found=(EntryProblem(line=1, reason=f"the file {error}"),))
    except OSError as error:
        return HooksFile(path=path, found=(EntryProblem(line=1, reason=os.strerror(error.errno or errno.EIO)),))
    hooks, found = hooks_of(text, environ)
    return HooksFile(path=path, hooks=hooks, found=found, exposed=exposed)


def hooks_of(text: str, environ: Mapping[str, str]) -> tuple[tuple[Hook, ...], tuple[EntryProblem, ...]]:
    """All webhooks and problems of a text. Does no I/O."""
    hooks, problems = named_entries(text, "webhook", KEYS, most=MOST_HOOKS, read=partial(_hook_of, environ=environ))
    return hooks, tuple(replace(one, reason=f"{one.name}: {one.reason}") if one.name else one for one in problems)


def _hook_of(node: Node, environ: Mapping[str, str]) -> Hook:
    entry = _HookEntry(node, environ)
    local = entry.boolean("allow_local", False)
    return Hook(
        name=entry.name(),
        url=entry.url(local=local),
        events=entry.events(),
        line=entry.line,
        secrets=entry.secrets(),
        enabled=entry.boolean("enabled", True),
        allow_local=local,
    )


class _HookEntry(EntryValues):
    """Reads the values of one entry."""

    def __init__(self, node: Node, environ: Mapping[str, str]) -> None:
        super().__init__(node, "webhook", KEYS)
        self._environ = environ

    def url(self, *, local: bool) -> str:
        """The address: https, or http where a local receiver is allowed."""
        text = self.required("url").strip()
        if len(text) > _MAX_URL_CHARS:
            raise self.refused("url", f"has more than {_MAX_URL_CHARS} characters")
        if not text.isprintable() or " " in text:
            raise self.refused("url", "has blanks or characters that cannot be shown")
        try:
            found, port = urlsplit(text), urlsplit(text).port
        except ValueError:
            raise self.refused("url", "is no address") from None
        if found.scheme == "http" and not local:
            raise self.refused("url", "must be https; http is for local receivers, with `allow_local: true`")
        if found.scheme not in ("http", "https"):
            raise self.refused("url", "must begin with https://")
        if found.username is not None or found.password is not None or "@" in found.netloc:
            raise self.refused("url", "must not have a user name or password")
        host = found.netloc if port is None else found.netloc.rpartition(":")[0]
        if port == 0 or not _HOST.fullmatch(host.removesuffix(":")):
            raise self.refused("url", "has no host that could be connected to")
        permits, where = reach_of(found.scheme, local)
        address = literal_of(found.hostname or "")
        # What a name leads to is judged at each delivery.
        if address is not None and not permits(address):
            raise self.refused("url", f"leads to {address}, which is not {where}")
        return text

    def events(self) -> tuple[WebhookEvent, ...]:
        """The events it is told of; `*` stands for all."""
        words = self.words("events")
        if not words:
            raise EntryRefused(self.line, f"the webhook has no events: some of {', '.join(EVENTS)}, or '*'")
        if _EVERY_EVENT in words:
            return EVENTS
        for word in words:
            if word not in EVENTS:
                near = difflib.get_close_matches(word[:64], EVENTS, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(EVENTS)}"
                raise self.refused("events", f"there is no event {word[:64]!r}{hint}")
        return tuple(event for event in EVENTS if event in words)

    def secrets(self) -> tuple[str, ...]:
        """The secret, and while it is rotated the one before."""
        made = tuple(found for name in ("secret", "previous_secret") if (found := self._secret(name)) is not None)
        if "previous_secret" in self.values and "secret" not in self.values:
            raise self.refused("previous_secret", "there is no secret that took its place")
        return tuple(dict.fromkeys(made))

    def _secret(self, name: str) -> str | None:
        text = self.text(name)
        if text is None:
            return None
        if variable := named_variable(text.strip()):
            text = self._environ.get(variable)
            if not text:
                raise self.refused(name, f"the environment variable {variable} is not set for the daemon")
        text = text.strip()
        if not text or len(text) > _MAX_SECRET_CHARS:
            raise self.refused(name, f"must have 1 to {_MAX_SECRET_CHARS} characters")
        try:
            key_of(text)
        except ValueError as error:
            raise self.refused(name, str(error)) from None
        return text


# Chat services put the key into the path; shorter parts are words.
_KEY_CHARS: Final = 20


def _keys_in(url: str) -> tuple[str, ...]:
    found = urlsplit(url)
    parts = (*found.path.split("/"), *re.split("[&=;]", found.query), *re.split("[&=]", found.fragment))
    return tuple(part for part in parts if len(part) >= _KEY_CHARS)
