from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.knowledge.search.fusion import K, fuse

_ORDERS = st.lists(st.lists(st.integers(0, 20), unique=True, max_size=12), min_size=1, max_size=4)


def test_what_is_first_everywhere_has_the_score_one() -> None:
    assert fuse([["a", "b"], ["a", "c"]])[0] == ("a", 1.0)
    assert fuse([["a"]]) == [("a", 1.0)]
    assert fuse([]) == []


def test_second_in_both_is_better_than_first_in_one() -> None:
    assert fuse([["a", "b"], ["c", "b"]])[0][0] == "b"


def test_scores_are_those_of_the_paper_scaled_to_one() -> None:
    scores = dict(fuse([["a", "b", "c"], ["c", "a"]]))
    paper = {"a": 1 / (K + 1) + 1 / (K + 2), "b": 1 / (K + 2), "c": 1 / (K + 3) + 1 / (K + 1)}
    for one, score in paper.items():
        assert abs(scores[one] - score * (K + 1) / 2) < 1e-12


@given(_ORDERS)
def test_everything_is_there_once_with_a_score_between_nothing_and_one(orders: list[list[int]]) -> None:
    fused = fuse(orders)
    assert sorted(one for one, _ in fused) == sorted({one for order in orders for one in order})
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 + 1e-12 for score in scores)


@given(_ORDERS)
def test_the_order_of_the_orders_changes_no_score(orders: list[list[int]]) -> None:
    one, other = dict(fuse(orders)), dict(fuse(orders[::-1]))
    assert one.keys() == other.keys()
    assert all(abs(one[key] - other[key]) < 1e-12 for key in one)


@given(st.lists(st.integers(0, 50), unique=True, min_size=1))
def test_one_order_stays_as_it_is(order: list[int]) -> None:
    assert [one for one, _ in fuse([order])] == order
    assert [one for one, _ in fuse([order, order])] == order


@given(_ORDERS, st.integers(0, 20))
def test_moving_up_in_one_order_never_makes_worse(orders: list[list[int]], one: int) -> None:
    before = dict(fuse(orders))
    if one not in orders[0]:
        return
    raised = [[one, *(other for other in orders[0] if other != one)], *orders[1:]]
    assert dict(fuse(raised))[one] >= before[one]
