"""Signatures that the receivers of others accept."""

from __future__ import annotations

import json
import time

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from agentgw_daemon.webhooks.signing import key_of, signed_headers

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PLAIN = "a plain secret, ä"
BODY = json.dumps({"event": "agent.completed", "timestamp": "now", "data": {"skill": "grün"}}, ensure_ascii=False)


def headers(*secrets: str, at_s: float | None = None) -> dict[str, str]:
    made = signed_headers("e-1", "agent.completed", int(at_s or time.time()), BODY.encode(), secrets)
    return {name.decode(): value.decode() for name, value in made}


@pytest.mark.parametrize("known", [OLD, NEW])
def test_while_a_secret_is_rotated_a_receiver_with_either_accepts(known: str) -> None:
    sent = headers(NEW, OLD)
    assert Webhook(known).verify(BODY, sent)["data"] == {"skill": "grün"}
    client = OpenAI(api_key="none", webhook_secret=known)
    client.webhooks.verify_signature(BODY, sent)


def test_receivers_do_not_refuse_a_plain_secret_as_it_is_written() -> None:
    Webhook(PLAIN.encode()).verify(BODY, headers(PLAIN))
    OpenAI(api_key="none", webhook_secret=PLAIN).webhooks.verify_signature(BODY.encode(), headers(PLAIN))


def test_receivers_refuse_another_body_another_id_another_secret_and_an_old_time() -> None:
    receiver = Webhook(NEW)
    for body, sent in (
        (BODY + " ", headers(NEW)),
        (BODY, headers(NEW) | {"webhook-id": "e-2"}),
        (BODY, headers(OLD)),
        (BODY, headers(NEW, at_s=time.time() - 3600)),
    ):
        with pytest.raises(WebhookVerificationError):
            receiver.verify(body, sent)
        with pytest.raises(InvalidWebhookSignatureError):
            OpenAI(api_key="none", webhook_secret=NEW).webhooks.verify_signature(body, sent)


def test_the_vector_of_the_specification() -> None:
    body = b'{"test": 2432232314}'
    made = dict(signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", "x", 1614265330, body, [OLD]))
    assert made[b"webhook-signature"] == b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_nothing_is_signed_and_the_rest_is_there() -> None:
    sent = headers()
    assert "webhook-signature" not in sent
    assert sent["webhook-id"] == "e-1"
    assert sent["X-Agentgw-Event"] == "agent.completed"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64!", "whsec_a", "whsec_ä"])
def test_a_prefix_without_base64_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        key_of(secret)


def test_padding_may_be_left_out() -> None:
    assert key_of("whsec_YQ") == key_of("whsec_YQ==") == b"a"
