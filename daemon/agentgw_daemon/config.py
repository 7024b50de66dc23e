"""From `config.toml` and the environment to `Settings`, with the origin of every value (contract section 9).

Precedence: `AGENTGW_SECTION__KEY` over the file over the default. Whatever cannot be used is ConfigRefused
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

from agentgw.errors import ConfigRefused, InvalidParams
from agentgw.schema import bind, fields_of, record
from agentgw.types import Setting
from agentgw_daemon.config_file import parse, read_text
from agentgw_daemon.settings import ProviderSection, Settings

_PREFIX: Final = "AGENTGW_"
_PROVIDERS: Final = "providers"
_PROVIDER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# What the running daemon cannot take over: connections live by the limits they were made with.
_RESTART_SECTIONS: Final = frozenset({"limits"})
_SECRET_WORDS: Final = ("key", "secret", "token", "password")
_SECTIONS: Final[Mapping[str, type]] = {
    field.name: field.type for field in fields_of(Settings) if field.name != _PROVIDERS
}

_Path = tuple[str, ...]


@record
class Config:
    """What was loaded: the settings, and each value with where it came from, for `config.get`."""

    settings: Settings
    origins: tuple[Setting, ...]


@record
class _Given:
    """A value that is not the default, and who gave it."""

    value: Any
    origin: str


def load(file: str, environ: Mapping[str, str]) -> Config:
    """The settings in force; a file that does not exist is an empty one."""
    given = _from_file(file, parse(read_text(file), file))
    given.update(_from_environment(environ, {path[1] for path in given if path[0] == _PROVIDERS}))
    settings = _bind(given)
    return Config(settings=settings, origins=tuple(_origins(settings, given)))


def changed(old: Config, new: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys whose values differ, and those of them that wait for a restart."""
    before, after = dict(_flat(old.settings)), dict(_flat(new.settings))
    keys = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    waiting = [path for path in keys if path[0] in _RESTART_SECTIONS]
    return tuple(map(".".join, keys)), tuple(map(".".join, waiting))


def _from_file(file: str, document: Mapping[str, Any]) -> dict[_Path, _Given]:
    given: dict[_Path, _Given] = {}
    for section, body in document.items():
        if section != _PROVIDERS and section not in _SECTIONS:
            raise _unknown(file, (section,), [(name,) for name in (*_SECTIONS, _PROVIDERS)])
        if not isinstance(body, dict):
            raise _refused(file, f"{section} must be a section, [{section}]")
        tables: dict[_Path, Any] = {(section,): body}
        if section == _PROVIDERS:
            tables = {(section, name): table for name, table in body.items()}
        for prefix, table in tables.items():
            given.update(_table(file, prefix, table))
    return given


def _table(file: str, prefix: _Path, table: Any) -> dict[_Path, _Given]:
    if not isinstance(table, dict):
        raise _refused(file, f"{_shown(prefix)} must be a section, [providers.NAME]")
    if prefix[0] == _PROVIDERS and not _PROVIDER_NAME.fullmatch(prefix[1]):
        raise _refused(file, f"{_shown(prefix)}: a provider's name has letters, digits, '.', '_' and '-'")
    known = _keys(prefix)
    for key in table:
        if key not in known:
            raise _unknown(file, (*prefix, key), [(*prefix, name) for name in known])
    return {(*prefix, key): _Given(value=value, origin=file) for key, value in table.items()}


def _from_environment(environ: Mapping[str, str], providers: set[str]) -> dict[_Path, _Given]:
    """Every `AGENTGW_…__…` variable; those without a double underscore are not settings."""
    # A variable's name has no '-' or '.', and its case is lost: a provider of the file keeps its own spelling.
    spelling = {re.sub("[-.]", "_", name).lower(): name for name in providers}
    given = {}
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX) or "__" not in variable[len(_PREFIX) :]:
            continue
        path = tuple(variable[len(_PREFIX) :].lower().split("__"))
        if path[0] == _PROVIDERS and len(path) == 3:
            path = (_PROVIDERS, spelling.get(path[1], path[1]), path[2])
        known = _known_paths(path)
        if path not in known:
            raise _unknown(variable, path, known, as_variable=True)
        kind = _keys(path[:-1])[path[-1]]
        given[path] = _Given(value=_read(environ[variable], kind, variable), origin=variable)
    return given


def _known_paths(path: _Path) -> list[_Path]:
    known = [(section, key) for section in _SECTIONS for key in _keys((section,))]
    name = path[1] if path[0] == _PROVIDERS and len(path) == 3 and _PROVIDER_NAME.fullmatch(path[1]) else "name"
    return [*known, *((_PROVIDERS, name, key) for key in _keys((_PROVIDERS, name)))]


def _read(text: str, kind: Any, variable: str) -> Any:
    """A variable's text as the TOML value its key wants; lists may also be given with commas."""
    kinds = get_args(kind) or (kind,)
    if tuple in kinds or getattr(kind, "__origin__", None) is tuple:
        if not text.lstrip().startswith("["):
            return [item.strip() for item in text.split(",") if item.strip()]
    elif not {bool, int, float}.intersection(kinds):
        return text
    try:
        document = tomllib.loads(f"value = {text.strip()}")
    except (tomllib.TOMLDecodeError, RecursionError):
        document = {}
    # More than one key: a line break in the text began another.
    if set(document) != {"value"}:
        raise _refused(variable, "cannot be read as a number, true or false, or a list")
    return document["value"]


def _keys(prefix: _Path) -> dict[str, Any]:
    """Names and types of one section's keys."""
    cls = ProviderSection if prefix[0] == _PROVIDERS else _SECTIONS[prefix[0]]
    return {field.name: field.type for field in fields_of(cls)}


def _bind(given: Mapping[_Path, _Given]) -> Settings:
    tables: dict[_Path, dict[str, Any]] = {}
    for path, one in given.items():
        # TOML has them; as a limit they would pass every comparison.
        if isinstance(one.value, float) and not math.isfinite(one.value):
            raise _refused(one.origin, f"{_shown(path)} must be a finite number")
        tables.setdefault(path[:-1], {})[path[-1]] = one.value
    sections: dict[str, Any] = {}
    providers: dict[str, ProviderSection] = {}
    for prefix, table in tables.items():
        try:
            if prefix[0] == _PROVIDERS:
                providers[prefix[1]] = bind(ProviderSection, table)
            else:
                sections[prefix[0]] = bind(_SECTIONS[prefix[0]], table)
        except InvalidParams as error:
            raise _misfit(prefix, error, given) from None
    return Settings(**sections, providers=providers)


def _misfit(prefix: _Path, error: InvalidParams, given: Mapping[_Path, _Given]) -> ConfigRefused:
    key, reason = str(error.data["path"]), str(error.data["reason"])
    path = (*prefix, key.partition("[")[0])
    # A missing key has no origin of its own: its neighbours in the section do.
    origin = given[path].origin if path in given else next(o.origin for p, o in given.items() if p[:-1] == prefix)
    if path[-1] == "api_key_env" and reason.startswith("must match"):
        reason = "must be the name of an environment variable, not the key itself"
    elif path[-1] in ("base_url", "hub") and reason.startswith("must match"):
        reason = "must be an http:// or https:// address without user name or password"
    return _refused(origin, f"{_shown((*prefix, key))} {reason}")


def _flat(settings: Settings) -> Iterator[tuple[_Path, Any]]:
    for section in _SECTIONS:
        for key in _keys((section,)):
            yield (section, key), getattr(getattr(settings, section), key)
    for name, provider in settings.providers.items():
        for key in _keys((_PROVIDERS, name)):
            yield (_PROVIDERS, name, key), getattr(provider, key)


def _origins(settings: Settings, given: Mapping[_Path, _Given]) -> Iterator[Setting]:
    for path, value in _flat(settings):
        origin = given[path].origin if path in given else "default"
        yield Setting(key=".".join(path), value="***" if _is_secret(path[-1]) else value, origin=origin)


def _is_secret(key: str) -> bool:
    """Nothing here is secret today: this is for the key that somebody adds tomorrow."""
    return not key.endswith("_env") and any(word in key for word in _SECRET_WORDS)


def _unknown(where: str, path: _Path, known: list[_Path], *, as_variable: bool = False) -> ConfigRefused:
    near = difflib.get_close_matches(".".join(path), [".".join(one) for one in known], n=1, cutoff=0.5)
    message = f"unknown key {_shown(path)}"
    if near:
        spelled = _PREFIX + near[0].replace(".", "__").upper() if as_variable else near[0]
        message += f"; did you mean {spelled}?"
    return _refused(where, message)


def _shown(path: _Path) -> str:
    """A key as it may stand in one line: TOML allows any character in a quoted key."""
    return "".join(c if c.isprintable() else "?" for c in ".".join(path))[:100]


def _refused(where: str, what: str) -> ConfigRefused:
    hint = "correct or unset it" if where.startswith(_PREFIX) else "correct it with agentgw config edit"
    return ConfigRefused(f"{where}: {what}", hint=hint)
