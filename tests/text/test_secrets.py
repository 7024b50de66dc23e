from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.text.secrets import MIN_CHARS, STARS, Secrets

KEY = "sk-ab/c+d=é'\"\\ 9"


@pytest.mark.parametrize(
    "spelled",
    [
        KEY, repr(KEY)[1:-1], json.dumps(KEY)[1:-1], json.dumps(KEY, ensure_ascii=False)[1:-1], quote(KEY),
        quote(KEY, safe=""), quote_plus(KEY), KEY.encode().hex(), KEY.encode().hex().upper(),
        json.dumps(KEY)[1:-1].replace("/", "\\/"), "sk-ab%2fc%2bd%3d%c3%a9%27%22%5c%209",
        "sk-ab%2fc%2bd%3d%c3%a9%27%22%5c+9", "sk-ab/c+d=é&#x27;&quot;\\ 9",
    ],
)  # fmt: skip
def test_a_value_is_found_however_it_is_spelled(spelled: str) -> None:
    assert Secrets(test=[KEY]).redact(f"before{spelled}after") == f"before{STARS}after"


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_base64_of_anything_with_a_value_in_it_does_not_give_it_away(before: bytes, after: bytes) -> None:
    secrets = Secrets(test=["correct-horse-battery"])
    raw = before + b"correct-horse-battery" + after
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert STARS in secrets.redact(encode(raw).decode())


def test_a_value_of_several_lines_is_found_by_each_of_them() -> None:
    lines = ["-----BEGIN KEY-----", "MIIEvQIBADANBgkqhkiG9w0B", "short"]
    shown = Secrets(test=["\n".join(lines)]).redact("x MIIEvQIBADANBgkqhkiG9w0B y short")
    assert shown == f"x {STARS} y short"


def test_a_value_too_short_to_be_a_key_garbles_nothing() -> None:
    secrets = Secrets(test=["", "  ", "a", "x" * (MIN_CHARS - 1)])
    assert secrets.redact("a banana " + "x" * (MIN_CHARS - 1)) == "a banana " + "x" * (MIN_CHARS - 1)


def test_the_longer_of_two_values_wins() -> None:
    assert Secrets(test=["secret-1", "secret-1-and-more"]).redact("secret-1-and-more secret-1") == f"{STARS} {STARS}"


def test_each_part_has_values_of_its_own_and_replaces_them() -> None:
    secrets = Secrets(configuration=["old-value-1"], webhooks=["hook-value-1"])
    secrets.put("configuration", ["new-value-1"])
    assert secrets.redact("old-value-1 new-value-1 hook-value-1") == f"old-value-1 {STARS} {STARS}"


def test_values_of_json_are_redacted_at_any_depth() -> None:
    value = {"a": [{"long-secret": "x long-secret y"}, 1, None, True], "b": ("long-secret",)}
    assert Secrets(test=["long-secret"]).redact_value(value) == {
        "a": [{STARS: f"x {STARS} y"}, 1, None, True], "b": [STARS],
    }  # fmt: skip
    assert Secrets().redact_value(value) is value
