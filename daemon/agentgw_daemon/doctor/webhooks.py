"""Checks of the webhooks: entries that cannot be used, receivers that are gone, events that were lost."""

from __future__ import annotations

from collections.abc import Iterable

from agentgw_daemon.doctor.context import DoctorContext, Verdict, error, fine, info, warning


async def check_webhooks(context: DoctorContext) -> Iterable[Verdict]:
    """Everything that keeps an event from its receiver."""
    found = await context.webhooks()
    verdicts = [error(problem, "mend the entry, then agentgw reload") for problem in found.problems]
    exposed = context.webhooks_exposed()
    if exposed is not None:
        verdicts.append(warning(f"{exposed} holds secrets and others may read it", f"chmod 600 {exposed}"))
    for hook in found.webhooks:
        if hook.state == "gone":
            text = f"webhook {hook.name} is off since {hook.gone_at}: its receiver answered that it wants no more (410)"
            verdicts.append(warning(text, f"agentgw webhooks test {hook.name}, once the receiver is there again"))
        if hook.dropped:
            verdicts.append(warning(f"webhook {hook.name}: {hook.dropped} events found its queue full and are lost"))
        if hook.state == "enabled" and not hook.signed:
            verdicts.append(info(f"webhook {hook.name} has no secret, so its receiver cannot tell who sends"))
    used = sum(hook.state == "enabled" for hook in found.webhooks)
    return verdicts or [fine(f"webhooks that are told of events: {used}" if used else "no webhook is told of anything")]
