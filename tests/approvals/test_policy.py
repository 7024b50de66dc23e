"""Nothing but what was allowed is allowed."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from agentgw_daemon.approvals.policy import Allow, Ask, Refuse, decide
from agentgw_daemon.tools.tool import ToolSpec

NAMES = st.sampled_from(["write_file", "run_command", "fetch_url", "ask", "deny"])
DIGESTS = st.sampled_from(["a" * 64, "b" * 64, "c" * 64])
WORDS = st.none() | st.lists(NAMES, max_size=4).map(tuple)


def spec(name: str = "write_file", *, outbound: bool = False) -> ToolSpec:
    return ToolSpec(name=name, description="", parameters={"type": "object"}, effect="write", outbound=outbound)


@given(NAMES, DIGESTS, WORDS, st.frozensets(NAMES), st.frozensets(DIGESTS), st.frozensets(DIGESTS))
def test_after_untrusted_text_nothing_lets_an_outbound_call_through(
    name: str, digest: str, words: tuple[str, ...] | None, allow: frozenset[str], grants: frozenset[str],
    rules: frozenset[str],
) -> None:  # fmt: skip
    made = decide(
        spec(name, outbound=True), digest, asked_for=words, allow=allow, session_grants=grants, rules=rules,
        tainted=True,
    )  # fmt: skip
    assert isinstance(made, Refuse if "deny" in (words or ()) else Ask)


@given(
    DIGESTS, st.frozensets(DIGESTS), st.frozensets(DIGESTS), st.sampled_from([None, (), ("ask",), ("deny",)]),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_grant_covers_its_own_digest_alone(
    digest: str, grants: frozenset[str], rules: frozenset[str], words: tuple[str, ...] | None, outbound: bool,
    tainted: bool,
) -> None:  # fmt: skip
    assume(digest not in grants | rules)
    made = decide(
        spec(outbound=outbound), digest, asked_for=words, allow=(), session_grants=grants, rules=rules, tainted=tainted
    )
    assert not isinstance(made, Allow)


def test_what_was_allowed_runs_and_says_why() -> None:
    def reason(**given: object) -> str:
        known: dict[str, object] = {"asked_for": None, "allow": (), "session_grants": (), "rules": (), "tainted": False}
        made = decide(spec(), "d", **(known | given))  # type: ignore[arg-type]  # one table for all cases
        assert isinstance(made, Allow)
        return made.reason

    assert reason(asked_for=("write_file", "deny")) == "named for this turn"
    assert reason(allow=("write_file",), tainted=True) == "tools.allow"
    assert reason(session_grants={"d"}) == "granted for this session"
    assert reason(rules={"d"}, asked_for=("deny",)) == "always allowed"


def test_without_words_it_is_asked_and_with_deny_refused() -> None:
    def made(name: str, words: tuple[str, ...] | None) -> object:
        return decide(
            spec(name), "d", asked_for=words, allow=(), session_grants=(), rules=(), tainted=False
        )  # fmt: skip

    assert isinstance(made("write_file", None), Ask)
    assert isinstance(made("write_file", ("fetch_url",)), Ask)
    assert isinstance(made("write_file", ("fetch_url", "deny")), Refuse)


def test_a_tool_that_calls_itself_ask_or_deny_is_not_named_by_the_word() -> None:
    for name, expected in (("ask", Ask), ("deny", Refuse)):
        made = decide(spec(name), "d", asked_for=(name,), allow=(), session_grants=(), rules=(), tainted=False)
        assert isinstance(made, expected)
