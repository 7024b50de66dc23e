"""Each test gets a home of its own and leaves no process behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Home


@pytest.fixture
def home() -> Iterator[Home]:
    """An installation without any model but the built-in one."""
    yield from _checked()


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Home]:
    """One installation for the tests of a module that neither look at its state nor change it."""
    yield from _checked()


def _checked() -> Iterator[Home]:
    with Home() as made:
        yield made
        made.stop()
        assert made.processes() == {}
        assert "Traceback" not in made.log


@pytest.fixture
def model_home(home: Home) -> Home:
    """An installation with the starter model pulled."""
    home.add_starter_model()
    return home


@pytest.fixture
def endpoint(home: Home) -> Iterator[Endpoint]:
    """The model `scripted/m` of this home, which says what the test says."""
    with Endpoint() as made:
        home.configure(made.config)
        yield made


@pytest.fixture
def chaos() -> Callable[[int], int]:
    """The number of repetitions in the long variants: their own number times AGENTGW_CHAOS, at least one."""
    factor = float(os.environ.get("AGENTGW_CHAOS", "1"))
    return lambda count: max(1, round(count * factor))
