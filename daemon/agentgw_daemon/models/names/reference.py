"""References to models (REF on the command line), from text to a value. Does no I/O.

    smollm2:135m              a name: of the catalogue, or of a file in the models folder
    hf:OWNER/REPO[:QUANT]     a repository of the model hub
    hf:OWNER/REPO/FILE.gguf   one file of it
    /path/to/FILE.gguf        a file of the user's own, used in place; of a split model any of its files
    PROVIDER/MODEL            a model of a configured endpoint
    echo                      the built-in one

Names become file names and URL paths, so each part is held to letters, digits, `.`, `_` and `-`.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Collection
from typing import Final

from agentgw.protocol.errors import InvalidParams, NotFound
from agentgw.protocol.records.schema import record
from agentgw.protocol.visible import is_seen
from agentgw_daemon.models.names.shards import first_of
from agentgw_daemon.text.near import nearest

ECHO: Final = "echo"
GGUF: Final = ".gguf"
# Linux' PATH_MAX; everything that is no path has a far smaller limit of its own.
MAX_REFERENCE: Final = 4096

_PART: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}(:[A-Za-z0-9._-]{1,64})?")
# The hub's own limit for a repository's name is 96; none of its names becomes a file name here as it is.
_HUB_PART: Final = re.compile(r"[A-Za-z0-9._-]{1,96}")
_QUANT: Final = re.compile(r"[A-Za-z0-9_]{1,32}")
# Endpoints name models as they like: `meta-llama/Llama-3.1-8B:free`, or a file of theirs, `/models/My Model (1).gguf`.
# It travels in a JSON body only.
_PROVIDER_MODEL: Final = re.compile(r"[\w./@+-](?:[\w .:/@+,=~()\[\]-]{0,254}[\w.:/@+)\]-])?")
_SHAPES: Final = (
    "NAME[:TAG], hf:OWNER/REPO[:QUANT], hf:OWNER/REPO/FILE.gguf, PROVIDER/MODEL or the path of a .gguf file"
)


@record
class Builtin:
    """The model that answers with what it was asked."""

    name: str = ECHO


@record
class Named:
    """A catalogue alias, or a file of the models folder by its name."""

    name: str


@record
class HubRef:
    """A repository of the model hub: one file of it, one quantisation, or what suits best."""

    owner: str
    repo: str
    file: str | None = None
    quant: str | None = None

    @property
    def name(self) -> str:
        """The reference as it is written."""
        tail = f"/{self.file}" if self.file else f":{self.quant}" if self.quant else ""
        return f"hf:{self.owner}/{self.repo}{tail}"


@record
class PathRef:
    """A GGUF file of the user's own, by absolute path."""

    path: str

    @property
    def name(self) -> str:
        """The path."""
        return self.path


@record
class ProviderRef:
    """A model of a configured endpoint."""

    provider: str
    model: str

    @property
    def name(self) -> str:
        """The reference as it is written."""
        return f"{self.provider}/{self.model}"


Reference = Builtin | Named | HubRef | PathRef | ProviderRef


def parse(text: str, *, providers: Collection[str] = (), cwd: str | None = None, home: str | None = None) -> Reference:
    """The reference that `text` means.

    A relative path needs `cwd`, `~` needs `home`; both absolute. Raises InvalidParams for what is no
    reference, NotFound for a provider that is not configured.
    """
    if not 0 < len(text) <= MAX_REFERENCE:
        raise _invalid(text, f"must have 1 to {MAX_REFERENCE} characters")
    if not all(map(is_seen, text)):
        raise _invalid(text, "holds a control character or one that cannot be shown")
    if text == ECHO:
        return Builtin()
    if text.startswith("hf:"):
        return _hub(text)
    head, slash, tail = text.partition("/")
    if slash and head in providers:
        return _provider(text, head, tail)
    if text.lower().endswith(GGUF) and (slash or cwd is not None):
        return PathRef(path=first_of(_absolute(text, cwd, home)))
    if _NAME.fullmatch(text) and not _dotted(text):
        return Named(name=text)
    if slash and _PART.fullmatch(head) and not _dotted(head) and _PROVIDER_MODEL.fullmatch(tail) and not _climbs(tail):
        near = [f"{one}/{tail}" for one in nearest(head, providers)]
        otherwise = f"add [providers.{head}] to config.toml, or write hf:{text}"
        hint = f"did you mean {' or '.join(near)}?" if near else otherwise
        raise NotFound(f"no provider {head} is configured", hint=hint, kind="provider", id=head)
    raise _invalid(text, f"is no model reference; it must be {_SHAPES}")


def shown(text: str, limit: int = 100) -> str:
    """A reference as it may stand in one line of an error."""
    line = "".join(c if is_seen(c) else "?" for c in text[:limit])
    return line + "…" if len(text) > limit else line


def _hub(text: str) -> HubRef:
    body, colon, quant = text.removeprefix("hf:").partition(":")
    owner, _, rest = body.partition("/")
    repo, slash, file = rest.partition("/")
    for part in (owner, repo):
        if not _HUB_PART.fullmatch(part) or _dotted(part):
            raise _invalid(text, "must be hf:OWNER/REPO[:QUANT] or hf:OWNER/REPO/FILE.gguf")
    if slash:
        parts = file.split("/")
        fits = all(_HUB_PART.fullmatch(part) and not _dotted(part) for part in parts)
        if colon or len(parts) > 8 or not fits or not file.lower().endswith(GGUF):
            raise _invalid(text, "must end in the name of a .gguf file of the repository")
        return HubRef(owner=owner, repo=repo, file=file)
    if colon and not _QUANT.fullmatch(quant):
        raise _invalid(text, "needs the name of a quantisation after the colon, such as Q4_K_M")
    return HubRef(owner=owner, repo=repo, quant=quant.upper() or None)


def _provider(text: str, provider: str, model: str) -> ProviderRef:
    if not _PROVIDER_MODEL.fullmatch(model) or _climbs(model):
        raise _invalid(text, f"needs the name of a model after {provider}/")
    return ProviderRef(provider=provider, model=model)


def _absolute(text: str, cwd: str | None, home: str | None) -> str:
    path = text
    if text.startswith("~"):
        if home is None or not text.startswith("~/"):
            raise _invalid(text, "must be an absolute path, or start with ~/")
        path = os.path.join(home, text[2:])
    elif not text.startswith("/"):
        if cwd is None:
            raise _invalid(text, "must be an absolute path")
        path = os.path.join(cwd, text)
    if len(os.fsencode(path)) >= MAX_REFERENCE:
        raise _invalid(text, "is too long for a path")
    return path


def _dotted(part: str) -> bool:
    """Tells whether a part is `.`, `..` or hidden: none names a model, all confuse a file system."""
    return part.startswith(".") or ":." in part


def _climbs(tail: str) -> bool:
    """Tells whether it is no name: what is empty between its slashes, or leads elsewhere. It may begin with one."""
    return any(part in ("", ".", "..") for part in tail.removeprefix("/").split("/"))


def _invalid(text: str, reason: str) -> InvalidParams:
    return InvalidParams(f"model {shown(text)!r} {reason}", path="model", reason=reason)
