"""Frozen, slotted, keyword-only dataclasses that are made quickly.

`dataclasses` compiles six functions for such a class, each by itself, and the daemon has four hundred of them: a
quarter of what its start takes. Here all classes share those functions but `__init__`, which is compiled for the first
instance, and `dataclasses` looks at the fields of a class once somebody asks for them: most classes are of requests
that a daemon does not get. Instances behave as those of `dataclass(frozen=True, slots=True, kw_only=True)`, and cannot
be weakly referenced either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

T = TypeVar("T")

_FIELDS: Final = "__dataclass_fields__"
_PARAMETERS: Final = "__dataclass_params__"


def frozen(cls: type[T]) -> type[T]:
    """The dataclass of an annotated class. What the class defines by itself stays, as with `dataclass`.

    A default that cannot be one is an error of the first instance, or of who asks for the fields before.
    """
    written = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    inherited = {slot for base in cls.__mro__[1:-1] for slot in vars(base).get("__slots__", ())}
    names = [name for name, kind in written.get("__annotations__", {}).items() if not _is_of_the_class(kind)]
    content = {name: value for name, value in written.items() if name not in names and name not in inherited}
    content["__slots__"] = tuple(name for name in names if name not in inherited)
    # An abstract class has a type of its own.
    kind: Any = type(cls)
    made: Any = kind(cls.__name__, cls.__bases__, _SHARED | content)
    made.__qualname__ = cls.__qualname__
    if "__init__" not in written:
        made.__init__ = _first_init(made)
    setattr(made, _FIELDS, _Late(made, written))
    return made  # type: ignore[no-any-return]  # what the type of a type[T] makes


def _is_of_the_class(annotation: object) -> bool:
    text = str(annotation)
    if "InitVar" in text or "KW_ONLY" in text:
        raise TypeError(f"{text} is neither a field nor a variable of the class")
    return text.startswith(("ClassVar", "typing.ClassVar"))


class _Late:
    """Stands for the fields of a class until they are asked for."""

    __slots__ = ("_made", "_written")

    def __init__(self, made: type[Any], written: dict[str, Any]) -> None:
        self._made = made
        self._written = written

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        made = self._made
        # A class of its own each time: two threads may ask at once. The docstring spares it a signature in that place.
        content = {**self._written, "__doc__": made.__name__}
        kind: Any = type(made)
        twin: Any = kind(made.__name__, made.__bases__, content)
        dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=True)(twin)
        for name in (_PARAMETERS, _FIELDS):
            setattr(made, name, vars(twin)[name])
        return vars(twin)[_FIELDS]


def _first_init(made: Any) -> Callable[..., None]:
    def init(self: Any, *arguments: Any, **values: Any) -> None:
        made.__init__ = _init_of(made)
        made.__init__(self, *arguments, **values)

    return init


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


_SHARED: Final = {
    "__repr__": _repr, "__eq__": _eq, "__hash__": _hash, "__setattr__": _refuse, "__delattr__": _refuse,
    "__getstate__": _state, "__setstate__": _set_state, "__match_args__": (),
}  # fmt: skip
