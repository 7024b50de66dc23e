"""Frozen, slotted, keyword-only dataclasses that are made quickly.

`dataclasses` compiles six functions for such a class, each by itself, and the daemon has four hundred of them: a
quarter of what its start takes. Here a class compiles its `__init__` alone; all classes share the other functions.
Instances behave as those of `dataclass(frozen=True, slots=True, kw_only=True)`, and cannot be weakly referenced either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def frozen(cls: type[T]) -> type[T]:
    """The dataclass of an annotated class. What the class defines by itself stays, as with `dataclass`."""
    own = set(vars(cls))
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=True)(cls)
    shared = {
        "__init__": _init_of(made), "__repr__": _repr, "__eq__": _eq, "__hash__": _hash, "__setattr__": _refuse,
        "__delattr__": _refuse, "__getstate__": _state, "__setstate__": _set_state,
    }  # fmt: skip
    for name, function in shared.items():
        if name not in own:
            setattr(made, name, function)
    return made


def _init_of(cls: type[Any]) -> Callable[..., None]:
    """The one function that a class has for itself: it sets the slots, which no attribute of an instance can."""
    names: dict[str, Any] = {"missing": dataclasses.MISSING}
    parameters, lines = [], []
    for number, field in enumerate(dataclasses.fields(cls)):
        value = field.name
        names[f"set_{number}"] = getattr(cls, field.name).__set__
        if field.default is not dataclasses.MISSING:
            names[f"default_{number}"] = field.default
            parameters.append(f"{field.name}=default_{number}")
        elif field.default_factory is not dataclasses.MISSING:
            names[f"default_{number}"] = field.default_factory
            parameters.append(f"{field.name}=missing")
            value = f"default_{number}() if {field.name} is missing else {field.name}"
        else:
            parameters.append(field.name)
        lines.append(f" set_{number}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    head = ", ".join(["self", *(["*", *parameters] if parameters else [])])
    exec("\n".join([f"def __init__({head}):", *(lines or [" pass"])]), names)
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


@cache
def _names_of(cls: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _values(instance: Any) -> tuple[Any, ...]:
    return tuple([getattr(instance, name) for name in _names_of(instance.__class__)])


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in _names_of(self.__class__))
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _refuse(self: Any, name: str, *value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {name!r}")


def _state(self: Any) -> tuple[Any, ...]:
    return _values(self)


def _set_state(self: Any, state: tuple[Any, ...]) -> None:
    for name, value in zip(_names_of(self.__class__), state, strict=True):
        object.__setattr__(self, name, value)
