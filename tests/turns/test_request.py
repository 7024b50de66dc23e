from __future__ import annotations

from agentgw.protocol.calls.turns import TurnStartParams
from agentgw.protocol.types import File, Options
from agentgw_daemon.turns.request import brings_data, kept, merged, options_of


def test_options_keep_what_the_skill_does_not_say() -> None:
    assert merged(0.2, Options(top_k=3)) == Options(temperature=0.2, top_k=3)
    assert merged(0.2, None) == Options(temperature=0.2)
    assert merged(None, Options(seed=1)) == Options(seed=1)


def test_only_a_detached_turn_without_a_bound_of_its_own_gets_one() -> None:
    detached = TurnStartParams(message="hi", detach=True)
    assert options_of(detached, 0.2, 100) == Options(temperature=0.2, max_tokens=100)
    assert options_of(detached, None, 0) == Options()
    own = TurnStartParams(message="hi", detach=True, options=Options(max_tokens=5))
    assert options_of(own, None, 100) == Options(max_tokens=5)
    assert options_of(TurnStartParams(message="hi"), None, 100) == Options()


def test_words_that_were_typed_are_no_data() -> None:
    typed = File(name="stdin", text="x", typed=True)
    assert not brings_data(TurnStartParams(message="hi", files=(typed,)))
    assert brings_data(TurnStartParams(message="hi", files=(typed, File(name="a", text="x"))))
    assert brings_data(TurnStartParams(message="hi", piped=True))


def test_what_is_stored_elsewhere_is_not_kept_with_the_request() -> None:
    asked = TurnStartParams(
        message="hi", files=(File(name="a", text="long"),), options=Options(seed=1), system="Be.", idempotency_key="k"
    )
    assert kept(asked, 7) == TurnStartParams(
        message="", files=(File(name="a", text=""),), system="", max_iterations=7
    )  # fmt: skip
