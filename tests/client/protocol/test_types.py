"""The records of the contract: frozen, documented and closed."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agentgw.protocol import calls, events, types
from agentgw.protocol.calls import turns
from agentgw.protocol.records.schema import bind, dump, fields_of, schema_of
from agentgw.protocol.types import Channel, FinishReason, Options, Topic, TurnStatus
from tests.client.protocol.strategies import records

RECORDS = [
    thing
    for module in (types, turns)
    for _, thing in inspect.getmembers(module, dataclasses.is_dataclass)
    if thing.__module__ == module.__name__
]
NOUNS = [importlib.import_module(f"{calls.__name__}.{found.name}") for found in pkgutil.iter_modules(calls.__path__)]
ALL = [
    thing
    for module in (types, events, *NOUNS)
    for _, thing in inspect.getmembers(module, dataclasses.is_dataclass)
    if thing.__module__ == module.__name__
]
by_record = pytest.mark.parametrize("record", ALL, ids=lambda record: record.__name__)


@by_record
def test_a_record_is_frozen_slotted_and_by_keyword_only(record: type) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        object.__new__(record).field = 1  # type: ignore[attr-defined]  # no record has such a field
    assert "__slots__" in vars(record)
    assert all(field.kw_only for field in dataclasses.fields(record))
    assert inspect.getdoc(record)


@by_record
def test_every_default_can_be_hashed_so_none_is_shared_and_changeable(record: type) -> None:
    defaults = [field.default for field in dataclasses.fields(record) if field.default is not dataclasses.MISSING]
    assert all(isinstance(hash(default), int) for default in defaults)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_a_record_survives_the_wire_and_meets_its_schema(record: type, data: Any) -> None:
    value = data.draw(records(record))
    assert bind(record, dump(value)) == value
    Draft202012Validator(schema_of(record)).validate(dump(value))


def test_closed_sets_are_as_listed() -> None:
    assert get_args(TurnStatus) == (
        "queued", "running", "waiting", "completed", "cancelled", "failed", "interrupted",
    )  # fmt: skip
    assert get_args(FinishReason) == ("stop", "length", "cancelled", "iteration_limit")
    assert get_args(Channel) == ("answer", "reasoning")
    assert get_args(Topic) == ("turns", "jobs", "models", "approvals")


def test_sampling_options_are_the_contracts_and_all_optional() -> None:
    known = fields_of(Options)
    assert {field.name for field in known} == {
        "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed", "max_tokens", "stop",
    }  # fmt: skip
    assert not any(field.required for field in known)
    assert dump(Options()) == {}
