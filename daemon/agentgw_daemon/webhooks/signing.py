"""Signatures by the Standard Webhooks specification 1.0. Does no I/O."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Final

_PREFIX: Final = "whsec_"


def key_of(secret: str) -> bytes:
    """The key of a secret: base64 after `whsec_`, or the text itself as older receivers take it. Raises ValueError."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    written = secret.removeprefix(_PREFIX)
    try:
        # Receivers differ in whether they ask for the padding, none objects to it.
        key = base64.b64decode(written + "=" * (-len(written) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("what follows whsec_ is not base64") from None
    if not key:
        raise ValueError("nothing follows whsec_")
    return key


def signed_headers(
    event_id: str, event: str, timestamp_s: int, body: bytes, secrets: Iterable[str]
) -> list[tuple[bytes, bytes]]:
    """The headers of one try. Each secret makes a signature, so that receivers with either take it."""
    signed = b".".join((event_id.encode(), str(timestamp_s).encode(), body))
    signatures = [b"v1," + base64.b64encode(hmac.digest(key_of(secret), signed, "sha256")) for secret in secrets]
    headers = [
        (b"Content-Type", b"application/json"),
        (b"webhook-id", event_id.encode()),
        (b"webhook-timestamp", str(timestamp_s).encode()),
        (b"X-Agentgw-Event", event.encode()),
    ]
    if signatures:
        headers.append((b"webhook-signature", b" ".join(signatures)))
    return headers
