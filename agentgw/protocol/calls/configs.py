"""Settings as they are asked for, changed and shown: `config.*`."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol import types as t
from agentgw.protocol.records.schema import Limit, record


@record
class ConfigParams:
    """A choice of settings."""

    section: Annotated[str | None, "one section, or one key", Limit(max_length=200)] = None


@record
class ConfigSetParams:
    """The setting to change in `config.toml`."""

    key: Annotated[str, "section.key", Limit(min_length=1, max_length=200)]
    value: Annotated[str, "as a person writes it: a word, a number, true; a list with commas", Limit(max_length=10_000)]


@record
class ConfigUnsetParams:
    """The setting to take out of `config.toml`."""

    key: Annotated[str, "section.key", Limit(min_length=1, max_length=200)]


@record
class ConfigResult:
    """Every setting with its origin; secrets are shown as `***`."""

    settings: tuple[t.Setting, ...]
