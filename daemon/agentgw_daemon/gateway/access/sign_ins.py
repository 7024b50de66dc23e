"""Sign-ins of browsers: one-time codes, the sessions that they begin, and tokens of forms. Does no I/O.

A code is asked for over the daemon's own socket, works once and soon, and is exchanged for a cookie. Only digests are
kept, and only as long as the daemon lives: a new daemon knows no old cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final

# Long enough for a browser to start.
CODE_VALID_S: Final = 60.0
_TOKEN_BYTES: Final = 32
# Somebody who asks for more has lost the first ones.
_MOST_CODES: Final = 16
# Browsers of one user; the one that signed in first goes when there are more.
_MOST_SESSIONS: Final = 64
# A digest in hexadecimal has no more; what is longer is nothing of ours and is not looked at.
_MOST_CHARS: Final = 128


class SignIns:
    """The codes and sessions of one daemon."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(_TOKEN_BYTES)
        # Digests in the order of their making, codes with the time when they end.
        self._codes: dict[bytes, float] = {}
        self._sessions: dict[bytes, None] = {}

    def make_code(self) -> str:
        """A new code, which works once."""
        self._forget_old_codes()
        while len(self._codes) >= _MOST_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(_TOKEN_BYTES)
        self._codes[_digest(code)] = self._clock() + CODE_VALID_S
        return code

    def redeem(self, code: str) -> str | None:
        """The token of a new session for a code, or None where it is unknown, used or too old."""
        self._forget_old_codes()
        if len(code) > _MOST_CHARS or self._codes.pop(_digest(code), None) is None:
            return None
        while len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._sessions[_digest(token)] = None
        return token

    def knows(self, token: str) -> bool:
        """Tells whether a session has this token."""
        # Found by its digest: how long that takes says nothing about the token.
        return 0 < len(token) <= _MOST_CHARS and _digest(token) in self._sessions

    def end(self, token: str) -> None:
        """End a session."""
        self._sessions.pop(_digest(token), None)

    def form_token(self, token: str) -> str:
        """The token that forms of this session bring along; that of the empty one where no sign-in is asked for."""
        return hmac.new(self._secret, token.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def is_form_token(self, given: str, token: str) -> bool:
        """Tells whether a form of this session brought this."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.form_token(token).encode())

    def _forget_old_codes(self) -> None:
        now = self._clock()
        for digest in [digest for digest, ends in self._codes.items() if ends <= now]:
            del self._codes[digest]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
