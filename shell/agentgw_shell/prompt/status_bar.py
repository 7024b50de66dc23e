"""Facts for the bar below the prompt, asked of the daemon between two messages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.errors import AgentgwError
from agentgw_shell.prompt.toolbar import BarFacts, bar
from agentgw_shell.screen_access import terminal_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentgw.client import Client
    from agentgw_shell.conversation import Conversation

# The prompt does not wait for a daemon that is busy; the bar is then as it was.
_PATIENCE_S: Final = 0.3
_HERE: Final = ("localhost", "127.0.0.1", "::1")


class StatusBar:
    """The bar of one chat."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._status: Mapping[str, Any] = {}
        self._approvals = 0
        self._contexts: dict[str, int] = {}
        self._leaves_to: tuple[str, ...] = ()
        self._endpoints: dict[str, str] = {}
        self._setting_ctx = 0
        self._known = False
        self._instead = "starting the daemon"

    def lose(self, why: str) -> None:
        """Show in the bar that the daemon is not there."""
        self._instead = why
        self._known = False

    def refresh(self, client: Client, patience_s: float = _PATIENCE_S) -> None:
        """Ask the daemon for the facts again. Raises nothing: a fact that cannot be had stays as it was."""
        client.limit(patience_s)
        try:
            self._status = client.call("daemon.status")
            # A model's context is known once it was loaded.
            if not self._known or not self._contexts.get(self._model()):
                self._ask_once(client)
            self._approvals = len(client.call("approval.list")["approvals"])
            self._instead = ""
        except AgentgwError:
            return
        finally:
            client.limit(None)

    def _ask_once(self, client: Client) -> None:
        models = client.call("model.list")["models"]
        self._contexts = {one["name"]: one.get("n_ctx_train_tokens") or 0 for one in models}
        settings = {one["key"]: one["value"] for one in client.call("config.get")["settings"]}
        self._setting_ctx = int(settings.get("inference.n_ctx") or 0)
        self._endpoints = dict(_endpoints(settings))
        tools = client.call("tool.list")["tools"]
        # Built-in tools that reach the network ask each time; servers and the user's own are beyond our sight.
        self._leaves_to = tuple(
            one["name"] for one in tools if one.get("effect") == "network" and not one.get("error")
        )[:3]  # fmt: skip
        self._known = True

    def text(self) -> str:
        """The bar's present text."""
        return bar(self._facts(), terminal_size()[0])

    def _model(self) -> str:
        return self._conversation.model or str(self._status.get("service", {}).get("model") or "")

    def _facts(self) -> BarFacts:
        chat = self._conversation
        model = self._model()
        provider = model.partition("/")[0]
        leaves = (provider,) if provider in self._endpoints and "/" in model else ()
        shown = os.path.basename(model) if os.path.isabs(model) else model
        return BarFacts(
            model=shown, skill=chat.skill or "", used_tokens=chat.used_tokens, tokens_per_s=chat.tokens_per_s,
            n_ctx_tokens=self._setting_ctx or self._contexts.get(model, 0), queue=self._status.get("queue", 0),
            approvals=self._approvals, jobs=self._status.get("scheduler", {}).get("jobs_count", 0),
            leaves_to=(*leaves, *(f"{name} when allowed" for name in self._leaves_to)), instead=self._instead,
        )  # fmt: skip


def _endpoints(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Providers that are not on this machine."""
    # Here, for the first prompt does not wait for it.
    from urllib.parse import urlsplit

    for key, value in settings.items():
        parts = key.split(".")
        if parts[0] == "providers" and parts[-1] == "base_url" and urlsplit(str(value)).hostname not in _HERE:
            yield ".".join(parts[1:-1]), str(value)
