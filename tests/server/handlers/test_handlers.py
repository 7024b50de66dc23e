"""The table and the handlers say the same."""

from __future__ import annotations

import inspect

from agentgw.protocol.methods import METHODS
from agentgw_daemon.server.handlers import HANDLERS


def test_every_method_has_a_handler_and_no_handler_is_without_a_method() -> None:
    assert set(HANDLERS) == set(METHODS)


def test_handlers_take_the_record_of_their_row() -> None:
    for name, handler in HANDLERS.items():
        parameters = list(inspect.signature(handler, eval_str=False).parameters.values())
        assert parameters[1].annotation == METHODS[name].params.__name__, name
