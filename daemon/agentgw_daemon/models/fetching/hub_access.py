"""The user's token for the model hub, and the words for a hub that wants one. Does no I/O.

Some repositories are public to see and give their files only to accounts that accepted a licence ("gated"). Such an
account is shown with a token, `HF_TOKEN` in the daemon's environment. It goes to the hub's own origin, scheme, host
and port alike, and to no address that the hub leads to.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

import httpx

from agentgw.protocol.errors import ModelUnavailable

VARIABLE: Final = "HF_TOKEN"
# Characters that a header's value may have; the hub's own tokens are letters, digits and `_`.
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,512}")
# Said by the hub beside 401 and 403 of a repository that exists.
_GATED: Final = "GatedRepo"


class HubToken(httpx.Auth):
    """Adds the token to requests that go to the hub itself."""

    def __init__(self, hub_url: str, token: str) -> None:
        self._origin = _origin(httpx.URL(hub_url))
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Decided for each request, because a redirect is followed as a request of its own."""
        if _origin(request.url) == self._origin:
            request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def hub_token(hub_url: str, text: str | None, name: str) -> HubToken | None:
    """The token that the user set, if any. Raises ModelUnavailable for one that cannot be sent."""
    token = (text or "").strip()
    if not token:
        return None
    if not _TOKEN.fullmatch(token):
        reason = f"{VARIABLE} is no token: it must be printable ASCII without blanks, up to 512 characters"
        raise ModelUnavailable(f"{name} cannot be pulled: {reason}", model=name, reason=reason)
    return HubToken(hub_url, token)


def refusal(name: str, response: httpx.Response, repository_url: str) -> ModelUnavailable | None:
    """The error of a repository that wants an account, or another one; None where it is something else.

    `repository_url` is the page of the repository at the hub.
    """
    if response.status_code not in (401, 403) or _origin(response.request.url) != _origin(httpx.URL(repository_url)):
        return None
    shown = "Authorization" in response.request.headers
    if shown and response.status_code == 401:
        reason = f"the model hub does not accept {VARIABLE}"
        hint = f"make a new token at the hub, set it as {VARIABLE}, then `agentgw restart`"
    elif shown:
        reason = f"the account of {VARIABLE} has no access to it"
        hint = f"accept its licence at {repository_url}, then pull again"
    elif response.headers.get("X-Error-Code") == _GATED or response.status_code == 403:
        reason = "it is gated: the model hub gives it to accounts that accepted its licence"
        hint = f"accept it at {repository_url}, set {VARIABLE} to a token of that account, then `agentgw restart`"
    else:
        return None
    return ModelUnavailable(f"{name} cannot be pulled: {reason}", hint=hint, model=name, reason=reason)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port; httpx leaves out the usual one."""
    return url.scheme, url.host, url.port
