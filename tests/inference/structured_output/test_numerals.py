from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.inference.structured_output.gbnf import Alt, Chars, Expr, Repeat, Seq, Terminal
from agentgw_daemon.inference.structured_output.numerals import Unwritable, integer, number


def say(expr: Expr, draw: random.Random) -> str:
    """A random text of an expression without rules."""
    match expr:
        case Terminal(text=text):
            return text
        case Chars(ranges=ranges):
            low, high = draw.choice(ranges)
            return chr(draw.randint(low, high))
        case Seq(parts=parts):
            return "".join(say(part, draw) for part in parts)
        case Alt(options=options):
            return say(draw.choice(options), draw)
        case Repeat(item=item, least=least, most=most):
            assert most is not None
            return "".join(say(item, draw) for _ in range(draw.randint(least, most)))
    raise AssertionError(expr)


def texts(expr: Expr) -> set[str]:
    """All the texts of a small expression."""
    match expr:
        case Terminal(text=text):
            return {text}
        case Chars(ranges=ranges):
            return {chr(point) for low, high in ranges for point in range(low, high + 1)}
        case Seq(parts=parts):
            made = {""}
            for part in parts:
                made = {one + two for one in made for two in texts(part)}
            return made
        case Alt(options=options):
            return set().union(*map(texts, options))
        case Repeat(item=item, least=least, most=most):
            assert most is not None
            return set().union(*(texts(Seq((item,) * count)) for count in range(least, most + 1)))
    raise AssertionError(expr)


@given(st.integers(-1200, 1200), st.integers(0, 1500))
def test_exactly_the_integers_between_the_bounds_are_written(low: int, width: int) -> None:
    assert texts(integer(Decimal(low), Decimal(low + width))) == {str(n) for n in range(low, low + width + 1)}


@given(
    st.decimals(-2000, 2000, places=4), st.decimals(0, 2000, places=3), st.booleans(), st.booleans(), st.integers(0, 99)
)
def test_numbers_stay_between_their_bounds(
    low: Decimal, width: Decimal, open_low: bool, open_high: bool, seed: int
) -> None:
    high = low + width + 1
    expr = number(low, high, open_low=open_low, open_high=open_high)
    draw = random.Random(seed)
    for _ in range(20):
        value = float(say(expr, draw))
        assert float(low) <= value <= float(high)
        assert not (open_low and value == float(low))
        assert not (open_high and value == float(high))


@given(st.none() | st.integers(-(10**18), 10**18), st.booleans(), st.integers(0, 99))
def test_one_bound_is_enough(bound: int | None, is_low: bool, seed: int) -> None:
    limit = None if bound is None else Decimal(bound)
    for make in (integer, number):
        value = Decimal(say(make(limit, None) if is_low else make(None, limit), random.Random(seed)))
        assert bound is None or (value >= bound if is_low else value <= bound)


def test_a_fraction_may_end_at_any_digit() -> None:
    found = texts(number(Decimal("0.1234565"), Decimal("0.1234567")))
    assert found == {"0.1234565", "0.1234566", "0.1234567"}
    assert "0.5" in texts(number(Decimal("0.5"), Decimal("0.50001")))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ("0.1", "0.9", "there is no integer between the bounds"),
        ("5", "4", "there is no integer between the bounds"),
        ("1e19", None, "a bound is larger than 1000000000000000000"),
    ],
)
def test_bounds_that_leave_no_integer(low: str, high: str | None, said: str) -> None:
    with pytest.raises(Unwritable, match=said):
        integer(Decimal(low), None if high is None else Decimal(high))


def test_bounds_that_leave_no_number() -> None:
    with pytest.raises(Unwritable, match="there is no number between the bounds"):
        number(Decimal(1), Decimal(1), open_low=True)
    with pytest.raises(Unwritable, match="more than 15 digits after the point"):
        number(Decimal("1e-16"), None)
