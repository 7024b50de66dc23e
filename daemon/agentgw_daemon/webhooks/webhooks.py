"""All webhooks of the daemon: one task each sends what is stored for it, in order, one delivery at a time.

A delivery that fails holds up those behind it until it is given up. So whoever reads the events of a job or a turn
gets them in order, and a receiver that is away for a minute misses nothing: only the first in the queue uses up tries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.calls.webhooks import Webhook, WebhookEvent, WebhookList, WebhookTestResult
from agentgw.protocol.errors import NotFound, RpcError
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.storage.deliveries.deliveries import Attempt, HookStanding, Pending
from agentgw_daemon.storage.deliveries.outbox import body_of
from agentgw_daemon.system.ids import new_id, now, seconds_of
from agentgw_daemon.text.near import hint_for
from agentgw_daemon.webhooks.hook import Hook, routes
from agentgw_daemon.webhooks.hooks_file import HooksFile, read_hooks
from agentgw_daemon.webhooks.sending import BACKOFF_S, MAX_RETRY_AFTER_S, Sender, Sent, attempt_of

if TYPE_CHECKING:
    from agentgw_daemon.events.change_signal import ChangeSignal
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.text.secrets import Secrets

log = logging.getLogger(__name__)

TEST_EVENT: Final = "webhook.test"
_DAY_S: Final = 86_400.0
# While the database cannot be used; nothing is sent meanwhile, for nobody could note that it was.
_STORAGE_PAUSE_S: Final = 30.0


class _Task:
    """The sending of one webhook."""

    def __init__(self, hook: Hook) -> None:
        self.hook = hook
        self.scope = trio.CancelScope()


class Webhooks:
    """Sends, lists and tests. `reload` starts what the file says; all of it ends with the nursery."""

    def __init__(
        self,
        database: Database,
        secrets: Secrets,
        file: HooksFile,
        nursery: trio.Nursery,
        *,
        added: ChangeSignal,
        environ: Mapping[str, str],
        keep_days: Callable[[], float],
        sender: Sender | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`added`: told when there may be more to send."""
        self._database = database
        self._added = added
        self._secrets = secrets
        self._environ = environ
        self._keep_days = keep_days
        self._nursery = nursery
        self._sender = sender or Sender()
        self._wall_clock = wall_clock
        self._file = file
        self._tasks: dict[str, _Task] = {}
        # The last complaint about the file is made once.
        self._told: tuple[str, ...] = ()
        # Two changes at once would each start what the other ends.
        self._taking = trio.Lock()
        # Names of those that were told to be gone, as it is stored.
        self._gone: set[str] = set()

    async def start(self) -> None:
        """Begin to send what is left of the last daemon."""
        await self._take()

    async def reload(self) -> bool:
        """Read the file again. Tells whether it says something else now."""
        before = self._file
        fresh = await trio.to_thread.run_sync(read_hooks, before.path, self._environ)
        await self._take(fresh)
        return (fresh.hooks, fresh.found) != (before.hooks, before.found)

    async def listing(self, deliveries: int) -> WebhookList:
        """Every webhook of the file, with the latest of its deliveries."""
        standings = await self._database.deliveries.standings([hook.name for hook in self._file.hooks])
        made = [await self._shown(hook, standings[hook.name], deliveries) for hook in self._file.hooks]
        return WebhookList(webhooks=tuple(made), problems=self._file.problems)

    @property
    def exposed(self) -> str | None:
        """The path of the file where it holds secrets and others may read it."""
        signed = any(hook.secrets for hook in self._file.hooks)
        return str(self._file.path) if self._file.exposed and signed else None

    def is_told(self, event: WebhookEvent) -> bool:
        """Tells whether any webhook is sent this event."""
        return any(event in task.hook.events for task in self._tasks.values())

    async def test(self, name: str) -> WebhookTestResult:
        """Send a signed event at once. An accepted one takes a webhook up again that was gone. Raises NotFound."""
        hook = next((one for one in self._file.hooks if one.name == name), None)
        if hook is None:
            raise NotFound(
                f"there is no webhook {name[:64]}", kind="webhook", id=name[:64],
                hint=hint_for(
                    name, (one.name for one in self._file.hooks), "`agentgw webhooks` lists those of webhooks.yaml"
                ),
            )  # fmt: skip
        event_id = new_id("e")
        body = body_of(TEST_EVENT, now(), {"webhook": name})
        began_s = trio.current_time()
        sent = await self._sender.send(hook, event_id, TEST_EVENT, body)
        duration_ms = round((trio.current_time() - began_s) * 1000, 1)
        sent = self._without_secrets(sent)
        attempt = Attempt(state="delivered" if sent.accepted else "failed", status=sent.status, error=sent.error)
        await self._database.deliveries.add_tried(name, event_id, TEST_EVENT, body, attempt)
        if sent.accepted and name in self._gone:
            await self._database.deliveries.set_gone(name, None)
            log.info("webhook %s: accepts events again", name)
            await self._take()
        return WebhookTestResult(
            ok=sent.accepted, delivery_id=event_id, duration_ms=duration_ms, status=sent.status, error=sent.error
        )

    async def _shown(self, hook: Hook, standing: HookStanding, deliveries: int) -> Webhook:
        gone = standing.gone == hook.address_digest
        return Webhook(
            name=hook.name, host=hook.host, events=hook.events, signed=bool(hook.secrets), local=hook.allow_local,
            state="disabled" if not hook.enabled else "gone" if gone else "enabled",
            gone_at=standing.gone_at if gone else None, pending=standing.pending, dropped=standing.dropped,
            deliveries=await self._database.deliveries.list(hook.name, deliveries) if deliveries else (),
        )  # fmt: skip

    async def _take(self, fresh: HooksFile | None = None) -> None:
        """Send to what the file says, and to nothing else."""
        async with self._taking:
            await self._take_alone(fresh or self._file)

    async def _take_alone(self, file: HooksFile) -> None:
        for problem in file.problems:
            if problem not in self._told:
                log.error("webhook refused: %s", problem)
        self._told = file.problems
        self._secrets.put("webhooks", file.secrets)
        try:
            standings = await self._database.deliveries.standings([hook.name for hook in file.hooks])
        except RpcError as error:
            # At worst a receiver says once more that it wants no more.
            log.warning("which webhooks are gone cannot be read: %s", error.message)
            standings = {}
        self._file = file
        self._gone = {
            hook.name for hook in file.hooks if standings.get(hook.name, HookStanding()).gone == hook.address_digest
        }
        wanted = {hook.name: hook for hook in file.hooks if hook.enabled and hook.name not in self._gone}
        self._database.outbox.route(routes(wanted.values()))
        for name, task in tuple(self._tasks.items()):
            if wanted.get(name) != task.hook:
                # A try that is under way is made again; its receiver knows it by its id.
                task.scope.cancel()
                del self._tasks[name]
        for name, hook in wanted.items():
            if name not in self._tasks:
                self._tasks[name] = task = _Task(hook)
                self._nursery.start_soon(supervised, f"sending to webhook {name}", self._run, task)

    async def _run(self, task: _Task) -> None:
        with task.scope:
            while True:
                added = self._added.next
                try:
                    pending = await self._database.deliveries.next(task.hook.name)
                    if pending is not None:
                        await self._deliver(task.hook, pending)
                        continue
                except RpcError as error:
                    log.warning("webhook %s waits: %s", task.hook.name, error.message)
                    await trio.sleep(_STORAGE_PAUSE_S)
                    continue
                await added.wait()

    async def _deliver(self, hook: Hook, pending: Pending) -> None:
        """One try of the first in the queue, when its time has come."""
        if pending.retry_at is not None:
            # The wall clock may have been set meanwhile; nobody waits longer than was asked for.
            wait_s = seconds_of(pending.retry_at) - self._wall_clock()
            await trio.sleep(min(max(wait_s, 0.0), max(*BACKOFF_S, MAX_RETRY_AFTER_S)))
        sent = self._without_secrets(await self._sender.send(hook, pending.id, pending.event, pending.body))
        attempt = attempt_of(sent, pending.tries, self._wall_clock())
        keep_s = self._keep_days() * _DAY_S
        await self._database.deliveries.tried(hook.name, pending, attempt, keep_s=keep_s)
        if sent.gone:
            await self._database.deliveries.set_gone(hook.name, hook.address_digest)
            log.warning("webhook %s: its receiver wants no more (status 410); it is off", hook.name)
            # Ends this task as well, at its next wait.
            await self._take()
        elif attempt.state == "failed":
            log.warning("webhook %s: %s %s was given up: %s", hook.name, pending.event, pending.id, sent.error)

    def _without_secrets(self, sent: Sent) -> Sent:
        if sent.error is None:
            return sent
        error = self._secrets.redact(sent.error)
        return Sent(status=sent.status, error=error, retry_after_s=sent.retry_after_s)
