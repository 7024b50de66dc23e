"""Hypothesis strategies made from records: values that fit them, and wire values that may or may not."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st

from agentgw.protocol.records.schema import Limit, fields_of

# Values that a field of any type accepts, such as tool arguments.
JSON = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def records(cls: type) -> st.SearchStrategy[Any]:
    """Instances of a record, all bounds kept, optional fields sometimes left to their default."""
    required = {field.name: values(field.type, field.limits) for field in fields_of(cls) if field.required}
    optional = {field.name: values(field.type, field.limits) for field in fields_of(cls) if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: cls(**given))


def values(kind: Any, limits: tuple[Limit, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of one annotation."""
    while get_origin(kind) is Annotated:
        kind, *extras = get_args(kind)
        limits += tuple(extra for extra in extras if isinstance(extra, Limit))
    low = _last(limit.minimum for limit in limits)
    high = _last(limit.maximum for limit in limits)
    min_size = _last(limit.min_length for limit in limits) or 0
    max_size = min(_last(limit.max_length for limit in limits) or 8, 8)
    origin, args = get_origin(kind), get_args(kind)
    kind = getattr(kind, "__supertype__", kind)
    if kind is Any:
        return JSON
    if origin in (Union, types.UnionType):
        return st.one_of(*(st.none() if option is types.NoneType else values(option, limits) for option in args))
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(values(args[0]), min_size=min_size, max_size=max_size).map(tuple)
    if origin in (dict, Mapping):
        return st.dictionaries(values(args[0]), values(args[1]), max_size=3)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return records(kind)
    if kind is bool:
        return st.booleans()
    pattern = _last(limit.pattern for limit in limits)
    if kind is str:
        if pattern is None:
            return st.text(min_size=min_size, max_size=max_size)
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: len(text) >= min_size)
    if kind is int:
        return st.integers(int(-(2**63) if low is None else low), int(2**63 - 1 if high is None else high))
    assert kind is float, kind
    return st.floats(-1e12 if low is None else low, 1e12 if high is None else high)


def _last(bounds: Any) -> Any:
    found = [bound for bound in bounds if bound is not None]
    return found[-1] if found else None
