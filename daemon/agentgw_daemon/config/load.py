"""Loading of `Settings` from `config.toml`, the environment and flags, with the origin of every value.

Precedence: a flag over `AGENTGW_SECTION__KEY` over the file over the default. Whatever cannot be used is ConfigRefused
with one line that names the file or variable and the key; an unknown key also gets its nearest match. Values
are never quoted in a message: people do paste keys into the wrong place.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from agentgw.protocol.errors import ConfigRefused, InvalidParams, NotFound
from agentgw.protocol.records.schema import bind, fields_of, record
from agentgw.protocol.types import Setting
from agentgw.protocol.visible import is_seen
from agentgw_daemon.config.config_file import line_of, parse, read_text
from agentgw_daemon.config.settings import McpSection, McpServerSection, ProviderSection, Settings, named_variable

_PREFIX: Final = "AGENTGW_"
_FLAGS: Final = "command line"
_PROVIDERS: Final = "providers"
_SERVERS: Final = ("mcp", "servers")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Settings that the running daemon cannot take over: connections live by the limits they were made with, jobs by theirs,
# and so do the doors of HTTP.
_RESTART_SECTIONS: Final = frozenset({"limits", "scheduler", "http", "daemon"})
_SECRET_WORDS: Final = frozenset({"key", "secret", "token", "password"})
_BOOLEANS: Final = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
# Words for a text that is none of the kind, in those of the schema.
_WANTED: Final[Mapping[Any, str]] = {
    bool: "must be true or false", int: "must be an integer", float: "must be a number",
}  # fmt: skip
_WANTED_LIST: Final = 'must be a list: words with commas between, or ["a", "b"]'
_WANTED_TABLE: Final = 'must be a table: {name = "value"}'
_Path = tuple[str, ...]

# The sections whose tables have names of the user's choosing.
_NAMED: Final[Mapping[_Path, type]] = {(_PROVIDERS,): ProviderSection, _SERVERS: McpServerSection}
_SECTIONS: Final[Mapping[str, type]] = {
    field.name: field.type for field in fields_of(Settings) if field.name not in (_PROVIDERS, _SERVERS[0])
}


@record
class Config:
    """Loaded configuration: the settings, and each value with where it came from, for `config.get`."""

    settings: Settings
    origins: tuple[Setting, ...]


@record
class _Source:
    """Giver of values: the file with its text, a variable or the command line."""

    name: str
    text: str = ""

    def refused(self, what: str, path: _Path = ()) -> ConfigRefused:
        """The error about a key of this source; of the file's keys it tells the line."""
        line = line_of(self.text, path) if self.text else None
        where = self.name if line is None else f"{self.name}:{line}"
        elsewhere = self.name.startswith((_PREFIX, _FLAGS))
        hint = "correct or unset it" if elsewhere else "correct it with agentgw config edit"
        return ConfigRefused(f"{where}: {what}", hint=hint)

    def unknown(self, path: _Path, known: list[_Path]) -> ConfigRefused:
        """The error about a key that does not exist, with the nearest."""
        near = [] if len(path) > 1 else _sectioned(path[0], _keys_of_sections())
        near = near or difflib.get_close_matches(
            ".".join(path).lower(), [".".join(one) for one in known], n=1, cutoff=0.5
        )
        message = f"unknown key {_shown(path)}"
        if near:
            spelled = _PREFIX + near[0].replace(".", "__").upper() if self.name.startswith(_PREFIX) else near[0]
            message += f"; did you mean {spelled}?"
        return self.refused(message, path)


@record
class _Given:
    """A value that is not the default, and who gave it."""

    value: Any
    origin: _Source


def load(file: str, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Config:
    """The settings in force; a file that does not exist is an empty one. `flags`: values of keys as `http.port`."""
    return load_text(read_text(file), file, environ, flags)


def load_text(text: str, file: str, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Config:
    """The settings as they would be with this text in the file."""
    given = _from_file(_Source(name=file, text=text), parse(text, file))
    given.update(_from_environment(environ, {path[:-1] for path in given if path[:-2] in _NAMED}))
    for key, value in (flags or {}).items():
        given[tuple(key.split("."))] = _Given(value=value, origin=_Source(name=_FLAGS))
    _check_servers(given)
    settings = _bind(given)
    return Config(settings=settings, origins=tuple(_origins(settings, given)))


def setting_called(key: str) -> _Path:
    """The path of a key as it is written with dots. Raises NotFound, with the nearest key, for what is none."""
    parts = tuple(key.split("."))
    path = parts
    for prefix in _NAMED:
        # The name of a table may have dots of its own.
        if parts[: len(prefix)] == prefix and len(parts) > len(prefix) + 1:
            path = (*prefix, ".".join(parts[len(prefix) : -1]), parts[-1])
    known = _known_paths(path) if len(path) > 1 else []
    if path not in known:
        raise unknown_key(key)
    return path


def unknown_key(key: str) -> NotFound:
    """The error for a key that does not exist, with the nearest."""
    known = _keys_of_sections()
    names = [*_SECTIONS, _PROVIDERS, _SERVERS[0], *known]
    path = tuple(key.split("."))
    for prefix, cls in _NAMED.items():
        # Of a provider or a server, what may stand in its table.
        if path[: len(prefix)] == prefix and len(path) > len(prefix) + 1:
            names = [".".join((*path[:-1], field.name)) for field in fields_of(cls)]
    near = _sectioned(key, known) or difflib.get_close_matches(key[:100], names, n=1)
    hint = f"did you mean {near[0]}?" if near else "`agentgw config show` lists all"
    if is_section(key):
        hint = f"it is a section, `agentgw config show {key}` lists its keys"
    return NotFound(f"there is no setting {_shown((key,))}", hint=hint, kind="setting", id=_shown((key,)))


def _keys_of_sections() -> list[str]:
    return [f"{section}.{name}" for section in _SECTIONS for name in _keys((section,))]


def _sectioned(key: str, known: list[str]) -> list[str]:
    """The keys that are meant by one that was written without its section, which happens often enough."""
    return [one for one in known if one.endswith(f".{key}")]


def is_section(name: str) -> bool:
    """Tells whether settings may stand below this name."""
    return name in _SECTIONS or name in (_PROVIDERS, _SERVERS[0], ".".join(_SERVERS))


def value_of(path: _Path, text: str) -> Any:
    """The value that a text gives the key; lists may have commas. Raises ConfigRefused."""
    return _read(text, _keys(path[:-1])[path[-1]], ".".join(path))


def changed(old: Config, new: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys whose values differ, and those of them that wait for a restart."""
    before, after = dict(_flat(old.settings)), dict(_flat(new.settings))
    keys = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    waiting = [path for path in keys if path[0] in _RESTART_SECTIONS]
    return tuple(map(".".join, keys)), tuple(map(".".join, waiting))


def _from_file(file: _Source, document: Mapping[str, Any]) -> dict[_Path, _Given]:
    given: dict[_Path, _Given] = {}
    for section, body in document.items():
        if section not in _SECTIONS and section not in (_PROVIDERS, _SERVERS[0]):
            raise file.unknown((section,), [(name,) for name in (*_SECTIONS, _PROVIDERS, _SERVERS[0])])
        for prefix, table in _tables(file, (section,), body):
            given.update(_table(file, prefix, table))
    return given


def _tables(file: _Source, prefix: _Path, body: Any) -> Iterator[tuple[_Path, Any]]:
    """The tables that hold keys, with where they stand: of `providers` and `mcp.servers` each named one."""
    if not isinstance(body, dict):
        raise file.refused(f"{_shown(prefix)} must be a section, [{_shown(prefix)}]", prefix)
    if prefix in _NAMED:
        yield from (((*prefix, name), table) for name, table in body.items())
    elif prefix == _SERVERS[:1]:
        for key, inner in body.items():
            if key != _SERVERS[1]:
                raise file.unknown((*prefix, key), [_SERVERS])
            yield from _tables(file, _SERVERS, inner)
    else:
        yield prefix, body


def _table(file: _Source, prefix: _Path, table: Any) -> dict[_Path, _Given]:
    named = prefix[:-1] in _NAMED
    if not isinstance(table, dict):
        raise file.refused(f"{_shown(prefix)} must be a section, [{_shown(prefix[:-1])}.NAME]", prefix)
    if named and not _NAME.fullmatch(prefix[-1]):
        raise file.refused(f"{_shown(prefix)}: {_whose(prefix)} name has letters, digits, '.', '_' and '-'", prefix)
    known = _keys(prefix)
    for key in table:
        if key not in known:
            raise file.unknown((*prefix, key), [(*prefix, name) for name in known])
    return {(*prefix, key): _Given(value=value, origin=file) for key, value in table.items()}


def _check_servers(given: Mapping[_Path, _Given]) -> None:
    """Raises ConfigRefused for servers that rules cannot tell apart: there, a tool is SERVER__TOOL in small letters."""
    known: dict[str, _Path] = {}
    for path, one in given.items():
        if path[:-2] != _SERVERS:
            continue
        prefix = path[:-1]
        made = re.sub(r"[^a-z0-9]", "_", prefix[-1].lower())
        if "__" in made or made.endswith("_"):
            raise one.origin.refused(
                f"{_shown(prefix)}: a server's name has no '__' and ends with a letter or digit, because"
                " its tools are named NAME__TOOL; '-' and '.' count as '_' there", prefix
            )  # fmt: skip
        other = known.setdefault(made, prefix)
        if other != prefix:
            raise one.origin.refused(
                f"{_shown(prefix)}: its tools would have the same names as those of {_shown(other)}; rename one",
                prefix,
            )  # fmt: skip


def _whose(prefix: _Path) -> str:
    return "a provider's" if prefix[0] == _PROVIDERS else "a server's"


def _from_environment(environ: Mapping[str, str], tables: set[_Path]) -> dict[_Path, _Given]:
    """Every `AGENTGW_…__…` variable; those without a double underscore are not settings."""
    # A variable's name has no '-' or '.', and its case is lost: a table of the file keeps its own spelling.
    spelling = {(*path[:-1], re.sub("[-.]", "_", path[-1]).lower()): path for path in tables}
    given = {}
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX) or "__" not in variable[len(_PREFIX) :]:
            continue
        path = tuple(variable[len(_PREFIX) :].lower().split("__"))
        path = (*spelling.get(path[:-1], path[:-1]), path[-1])
        known = _known_paths(path)
        if path not in known:
            raise _Source(name=variable).unknown(path, known)
        kind = _keys(path[:-1])[path[-1]]
        given[path] = _Given(value=_read(environ[variable], kind, variable), origin=_Source(name=variable))
    return given


def _known_paths(path: _Path) -> list[_Path]:
    known: list[_Path] = [(section, key) for section in _SECTIONS for key in _keys((section,))]
    for prefix, cls in _NAMED.items():
        mine = path[:-2] == prefix and _NAME.fullmatch(path[-2])
        name = path[-2] if mine else "name"
        known += [(*prefix, name, field.name) for field in fields_of(cls)]
    return known


def _read(text: str, kind: Any, variable: str) -> Any:
    """A variable's text as the TOML value its key wants; lists may also be given with commas, and a yes or no in the
    words that settings are shown in.
    """
    kinds = get_args(kind) or (kind,)
    is_list = tuple in kinds or getattr(kind, "__origin__", None) is tuple
    if is_list:
        if not text.lstrip().startswith("["):
            return [item.strip() for item in text.split(",") if item.strip()]
    elif not {bool, int, float}.intersection(kinds) and getattr(kind, "__origin__", None) is not Mapping:
        return text
    if bool in kinds and (word := text.strip().lower()) in _BOOLEANS:
        return _BOOLEANS[word]
    try:
        document = tomllib.loads(f"value = {text.strip()}")
    except (tomllib.TOMLDecodeError, RecursionError):
        document = {}
    # More than one key: a line break in the text began another.
    if set(document) != {"value"}:
        other = _WANTED_LIST if is_list else _WANTED_TABLE
        raise _Source(name=variable).refused(next((words for one, words in _WANTED.items() if one in kinds), other))
    return document["value"]


def _keys(prefix: _Path) -> dict[str, Any]:
    """Names and types of one section's keys."""
    cls = _NAMED.get(prefix[:-1]) or _SECTIONS[prefix[0]]
    return {field.name: field.type for field in fields_of(cls)}


def _bind(given: Mapping[_Path, _Given]) -> Settings:
    tables: dict[_Path, dict[str, Any]] = {}
    for path, one in given.items():
        # TOML has them; as a limit they would pass every comparison.
        if isinstance(one.value, float) and not math.isfinite(one.value):
            raise one.origin.refused(f"{_shown(path)} must be a finite number", path)
        tables.setdefault(path[:-1], {})[path[-1]] = one.value
    sections: dict[str, Any] = {}
    providers: dict[str, ProviderSection] = {}
    servers: dict[str, McpServerSection] = {}
    for prefix, table in tables.items():
        try:
            if prefix[0] == _PROVIDERS:
                providers[prefix[1]] = bind(ProviderSection, table)
            elif prefix[:-1] == _SERVERS:
                servers[prefix[-1]] = bind(McpServerSection, table)
            else:
                sections[prefix[0]] = bind(_SECTIONS[prefix[0]], table)
        except InvalidParams as error:
            raise _misfit(prefix, error, given) from None
    return Settings(**sections, providers=providers, mcp=McpSection(servers=servers))


def _misfit(prefix: _Path, error: InvalidParams, given: Mapping[_Path, _Given]) -> ConfigRefused:
    key, reason = str(error.data["path"]), str(error.data["reason"])
    path = (*prefix, re.split(r"[\[.]", key, maxsplit=1)[0])
    # A missing key has no origin of its own: its neighbours in the section do.
    origin = given[path].origin if path in given else next(o.origin for p, o in given.items() if p[:-1] == prefix)
    if path[-1] == "api_key_env" and reason.startswith("must match"):
        reason = "must be the name of an environment variable, not the key itself"
    elif path[-1] in ("base_url", "hub", "url") and reason.startswith("must match"):
        reason = "must be an http:// or https:// address without user name or password"
    return origin.refused(f"{_shown((*prefix, key))} {reason}", path if path in given else prefix)


def _flat(settings: Settings) -> Iterator[tuple[_Path, Any]]:
    for section in _SECTIONS:
        for key in _keys((section,)):
            yield (section, key), getattr(getattr(settings, section), key)
    named: dict[_Path, Mapping[str, object]] = {
        (_PROVIDERS,): settings.providers,
        _SERVERS: settings.mcp.servers,
    }
    for prefix, tables in named.items():
        for name, table in tables.items():
            for key in _keys((*prefix, name)):
                yield (*prefix, name, key), getattr(table, key)


def _origins(settings: Settings, given: Mapping[_Path, _Given]) -> Iterator[Setting]:
    for path, value in _flat(settings):
        origin = given[path].origin.name if path in given else "default"
        yield Setting(key=".".join(path), value=_public(path, value), origin=origin, about=_about(path))


def _about(path: _Path) -> str | None:
    """The words that the settings' own record has for it."""
    cls = _NAMED.get(path[:-2]) or _SECTIONS[path[0]]
    return next((field.doc or None for field in fields_of(cls) if field.name == path[-1]), None)


def _public(path: _Path, value: Any) -> Any:
    """The value as it may be shown. A server's variables can be keys; the name of one of ours is none."""
    if path[-1] == "env":
        return {name: text if named_variable(text) else "***" for name, text in value.items()}
    return "***" if _is_secret(path[-1]) else value


def _is_secret(key: str) -> bool:
    """Tells whether a value is secret. Nothing here is: this is for the key that somebody adds."""
    return not key.endswith("_env") and not _SECRET_WORDS.isdisjoint(key.split("_"))


def _shown(path: _Path) -> str:
    """A key as it may stand in one line: TOML allows any character in a quoted key."""
    return "".join(c if is_seen(c) else "?" for c in ".".join(path))[:100]
