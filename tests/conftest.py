"""Shared fixtures. Every test that starts a process does so under its own AGENTGW_HOME."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from agentgw_daemon.system import ids
from tests.ticking import TickingClock

# A busy machine is slow, which is no failure. CI judges a change by the same examples each time, so that it refuses
# none for a fault that stood before it; new ones are looked for wherever CI is not set.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("untimed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put tests with daemons first where several processes share the tests.

    Each process begins with an equal part and takes from the ends of the others' later. So one of them waits for
    daemons while another computes, and neither waits for a long test at the end.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Spell surrogates out in what a process reports to the one that started it: they have no bytes there."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_encodable(key): _encodable(item) for key, item in value.items()}
        case list() | tuple():
            return type(value)(_encodable(item) for item in value)
        case _:
            return value


# Scripts run what they put into the background with SIGINT ignored, and every process that a test starts would inherit
# that: the tests that press Ctrl-C would wait for nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    """anyio's plugin runs the async tests on trio."""
    return "trio"


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every id and stored time is later than the one before by more than a millisecond, however fast the machine is.

    For tests of an order or of a part of an id that those of one millisecond share.
    """
    monkeypatch.setattr(ids, "time", TickingClock())


@pytest.fixture
def no_collections() -> Iterator[None]:
    """Collect no garbage: an exception of a limit would be lost in a collection's callbacks and finalizers.

    Hypothesis follows the collector by a callback; where memory is short, finalizers of older garbage fail.
    """
    gc.disable()
    yield
    gc.enable()
