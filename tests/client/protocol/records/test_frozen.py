"""The quickly made dataclass is the one that `dataclasses` makes."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, InitVar, field
from typing import Any, ClassVar

import pytest

from agentgw.protocol.records.frozen import frozen

Make = Callable[[type], Any]


def plain(cls: type) -> type:
    return dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)


@frozen
class Pot:
    """Found by its name, as pickle wants it."""

    tea: str
    cups: int = 2


def pots(make: Make) -> Any:
    class Leaf:
        tea: str
        cups: int = 2
        notes: list[str] = field(default_factory=list)

    return make(Leaf)


@pytest.fixture(params=[plain, frozen], ids=["plain", "quick"])
def leaf(request: pytest.FixtureRequest) -> Any:
    return pots(request.param)


def test_it_shows_its_fields(leaf: Any) -> None:
    shown = repr(leaf(cups=3, tea="green"))
    assert shown.endswith(".Leaf(tea='green', cups=3, notes=[])")
    assert shown.startswith("pots.<locals>")


def test_it_is_made_by_keyword_with_its_defaults(leaf: Any) -> None:
    made = leaf(tea="green")
    assert (made.tea, made.cups, made.notes) == ("green", 2, [])
    assert made.notes is not leaf(tea="green").notes
    for wrong in ({}, {"tea": "green", "sugar": 1}):
        with pytest.raises(TypeError, match=r"Leaf\.__init__\(\) "):
            leaf(**wrong)
    with pytest.raises(TypeError, match="positional"):
        leaf("green")


def test_it_cannot_be_changed(leaf: Any) -> None:
    made = leaf(tea="green")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'tea'"):
        made.tea = "black"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'tea'"):
        del made.tea
    assert made.tea == "green"
    assert not hasattr(made, "__dict__")


def test_equal_fields_of_the_same_class_are_equal(leaf: Any) -> None:
    assert leaf(tea="green") == leaf(tea="green", cups=2)
    assert leaf(tea="green") != leaf(tea="black")
    assert leaf(tea="green") != pots(frozen)(tea="green")
    assert leaf(tea="green") != ("green", 2, [])
    assert leaf(tea=math.nan) == leaf(tea=math.nan)


def test_it_is_hashed_by_its_fields(leaf: Any) -> None:
    assert len({leaf(tea="green", notes=()), leaf(tea="green", notes=()), leaf(tea="black", notes=())}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(leaf(tea="green"))


def test_it_is_one_for_the_functions_of_dataclasses(leaf: Any) -> None:
    made = dataclasses.replace(leaf(tea="green"), cups=5)
    assert dataclasses.asdict(made) == {"tea": "green", "cups": 5, "notes": []}
    assert all(one.kw_only for one in dataclasses.fields(leaf))
    assert leaf.__match_args__ == ()


def test_it_is_copied_and_pickled() -> None:
    made = Pot(tea="green")
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert other == made
        assert other is not made


@pytest.mark.parametrize("make", [plain, frozen])
def test_without_fields_all_instances_are_equal(make: Make) -> None:
    class Empty:
        pass

    made = make(Empty)
    assert (made() == made(), hash(made()) == hash(made()), repr(made()).endswith("Empty()")) == (True, True, True)


@pytest.mark.parametrize("make", [plain, frozen])
def test_a_class_goes_on_from_another(make: Make) -> None:
    pot = pots(make)

    class Kettle(pot):  # type: ignore[misc]  # a class that is a value
        litres: float

        def __post_init__(self) -> None:
            if self.litres <= 0:
                raise ValueError("empty")

        def __repr__(self) -> str:
            return f"a kettle of {self.tea}"

    kettle: Any = make(Kettle)
    assert repr(kettle(tea="green", litres=1.5)) == "a kettle of green"
    assert [one.name for one in dataclasses.fields(kettle)] == ["tea", "cups", "notes", "litres"]
    assert kettle(tea="green", litres=1.0) != pot(tea="green")
    with pytest.raises(ValueError, match="empty"):
        kettle(tea="green", litres=0)


@pytest.mark.parametrize("make", [plain, frozen])
def test_a_field_of_another_may_get_a_default_and_lose_it(make: Make) -> None:
    class Mug(pots(make)):  # type: ignore[misc]  # a class that is a value
        tea: str = "black"
        cups: int

    mug: Any = make(Mug)
    assert (mug(cups=1).tea, mug(tea="green", cups=1).tea) == ("black", "green")
    with pytest.raises(TypeError, match="cups"):
        mug()
    assert pots(make)(tea="green").cups == 2


@pytest.mark.parametrize("make", [plain, frozen])
def test_a_variable_of_the_class_is_no_field(make: Make) -> None:
    class Event:
        name: ClassVar[str] = "pour"
        number: int

    event: Any = make(Event)
    assert [one.name for one in dataclasses.fields(event)] == ["number"]
    assert (event.name, event(number=1).name, event(number=1) == event(number=1)) == ("pour", "pour", True)
    with pytest.raises(TypeError, match="name"):
        event(name="sip", number=1)


def test_what_is_neither_a_field_nor_of_the_class_is_refused() -> None:
    class Sugared:
        lumps: InitVar[int]

    with pytest.raises(TypeError, match="InitVar"):
        frozen(Sugared)


@pytest.mark.parametrize("make", [plain, frozen])
def test_an_init_of_its_own_stays(make: Make) -> None:
    class Bag:
        tea: str

        def __init__(self, word: str) -> None:
            object.__setattr__(self, "tea", word.lower())

    assert make(Bag)("GREEN").tea == "green"


def test_a_default_that_all_instances_would_share_is_refused_by_the_first() -> None:
    class Shared:
        notes: list[str] = []  # noqa: RUF012  # what is refused

    made = frozen(Shared)
    for _ in range(2):
        with pytest.raises(ValueError, match="mutable default"):
            made()


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("switching")
def test_threads_that_make_the_first_instances_at_once_make_equal_ones() -> None:
    together = threading.Barrier(4)

    def first(leaf: Any) -> Any:
        together.wait()
        return leaf(tea="green")

    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):
            made = list(threads.map(first, [pots(frozen)] * 4))
            assert made == [made[0]] * 4
            assert made[0].notes == []
