"""One-time codes, sessions and tokens of forms."""

from __future__ import annotations

import pytest

from agentgw_daemon.gateway.access.sign_ins import CODE_VALID_S, SignIns


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_code_begins_one_session_and_no_second() -> None:
    sign_ins = SignIns()
    code = sign_ins.make_code()
    token = sign_ins.redeem(code)
    assert token is not None
    assert sign_ins.knows(token)
    assert sign_ins.redeem(code) is None


def test_a_code_works_for_a_minute() -> None:
    clock = Clock()
    sign_ins = SignIns(clock)
    late, in_time = sign_ins.make_code(), sign_ins.make_code()
    clock.now += CODE_VALID_S - 0.001
    assert sign_ins.redeem(in_time)
    clock.now += 0.001
    assert sign_ins.redeem(late) is None


@pytest.mark.parametrize("guess", ["", "x", "é", "\ud800", "c" * 100_000])
def test_what_is_no_code_and_no_token_is_nothing(guess: str) -> None:
    sign_ins = SignIns()
    sign_ins.make_code()
    assert sign_ins.redeem(guess) is None
    assert not sign_ins.knows(guess)


def test_ten_thousand_guesses_open_nothing_keep_nothing_and_leave_the_code_as_it_was() -> None:
    sign_ins = SignIns()
    code = sign_ins.make_code()
    before = len(repr(vars(sign_ins)))
    guesses = (f"{code[:-1]}{number}" if number % 2 else f"{number:043}" for number in range(10_000))
    assert {sign_ins.redeem(guess) for guess in guesses if guess != code} == {None}
    assert len(repr(vars(sign_ins))) == before
    assert sign_ins.redeem(code)


def test_only_the_latest_codes_and_sessions_are_kept() -> None:
    sign_ins = SignIns()
    codes = [sign_ins.make_code() for _ in range(17)]
    assert sign_ins.redeem(codes[0]) is None
    tokens = [sign_ins.redeem(sign_ins.make_code()) or "" for _ in range(65)]
    assert [sign_ins.knows(token) for token in tokens] == [False] + [True] * 64


def test_a_session_that_has_ended_is_unknown() -> None:
    sign_ins = SignIns()
    token = sign_ins.redeem(sign_ins.make_code()) or ""
    sign_ins.end(token)
    assert not sign_ins.knows(token)


def test_a_token_of_a_form_is_of_one_session_of_one_daemon() -> None:
    ours, theirs = SignIns(), SignIns()
    assert ours.is_form_token(ours.form_token("a"), "a")
    assert not ours.is_form_token(ours.form_token("a"), "b")
    assert not ours.is_form_token(theirs.form_token("a"), "a")
    for guess in ("", "é", "\ud800"):
        assert not ours.is_form_token(guess, "a")


def test_neither_codes_nor_tokens_are_kept_as_they_are() -> None:
    sign_ins = SignIns()
    code = sign_ins.make_code()
    token = sign_ins.redeem(sign_ins.make_code()) or ""
    kept = repr(vars(sign_ins))
    assert code not in kept
    assert token not in kept
