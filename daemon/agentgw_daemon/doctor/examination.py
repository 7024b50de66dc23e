"""Runs the checks: all at once, each with a bound of its own, none able to spoil another."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import trio

from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Finding
from agentgw_daemon.doctor import documents, http, jobs, models, places, system, torch, turns, webhooks
from agentgw_daemon.doctor.context import DoctorContext, Verdict, error
from agentgw_daemon.observability.log import log_unexpected

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
# The child imports llama.cpp from a cold disk in this one.
_ENGINE_TIMEOUT_S: Final = 30.0

Plain = Callable[[DoctorContext], Iterable[Verdict]]
Asynchronous = Callable[[DoctorContext], Awaitable[Iterable[Verdict]]]


@record
class Check:
    """One row: a stable name and what to run. A plain function runs in a thread, as it may wait for a disk."""

    name: str
    plain: Plain | None = None
    asynchronous: Asynchronous | None = None
    timeout_s: float = TIMEOUT_S


CHECKS: Final[tuple[Check, ...]] = (
    Check(name="directories", plain=places.check_directories),
    Check(name="runtime-directory", plain=places.check_runtime_directory),
    Check(name="standard-places", plain=places.check_standard_places),
    Check(name="socket", plain=places.check_socket),
    Check(name="locks", plain=places.check_locks),
    Check(name="config", plain=places.check_config),
    Check(name="log", plain=places.check_log),
    Check(name="disk-space", plain=places.check_disk_space),
    Check(name="kv-cache", plain=places.check_kv_cache),
    Check(name="network-filesystem", plain=places.check_filesystem),
    Check(name="database", asynchronous=models.check_database),
    Check(name="turns", asynchronous=turns.check_turns),
    Check(name="sqlite", plain=system.check_sqlite),
    Check(name="engine", asynchronous=models.check_engine, timeout_s=_ENGINE_TIMEOUT_S),
    Check(name="model", asynchronous=models.check_default_model),
    Check(name="embedder", asynchronous=models.check_embedder, timeout_s=_ENGINE_TIMEOUT_S),
    Check(name="torch", plain=torch.check_torch),
    Check(name="documents", plain=documents.check_documents),
    Check(name="jobs", plain=jobs.check_jobs),
    Check(name="memory", asynchronous=models.check_memory),
    Check(name="skills", plain=models.check_skills),
    Check(name="webhooks", asynchronous=webhooks.check_webhooks),
    Check(name="http", plain=http.check_http),
    Check(name="version", plain=system.check_version),
    Check(name="clock", plain=system.check_clock),
    Check(name="file-descriptors", plain=system.check_descriptors),
    Check(name="linger", plain=system.check_linger),
)


async def examine(context: DoctorContext, checks: tuple[Check, ...] = CHECKS) -> tuple[Finding, ...]:
    """Every finding in the order of the table, the healthy ones too. Raises nothing but Cancelled."""
    found: dict[str, tuple[Finding, ...]] = {}

    async def run(check: Check) -> None:
        found[check.name] = await _examine_one(check, context)

    async with trio.open_nursery() as nursery:
        for check in checks:
            nursery.start_soon(run, check)
    return tuple(finding for check in checks for finding in found[check.name])


async def _examine_one(check: Check, context: DoctorContext) -> tuple[Finding, ...]:
    verdicts: Iterable[Verdict] = (error(f"did not finish within {check.timeout_s:g} s"),)
    with trio.move_on_after(check.timeout_s):
        try:
            verdicts = await _run(check, context)
        except Exception as failure:  # noqa: BLE001  # a broken check must not hide what the others found
            error_id = log_unexpected(log, failure, f"checking {check.name}")
            verdicts = (error(f"the check itself failed ({error_id})", f"agentgw logs shows it under {error_id}"),)
    return tuple(Finding(check=check.name, severity=one.severity, message=one.message, fix=one.fix) for one in verdicts)


async def _run(check: Check, context: DoctorContext) -> Iterable[Verdict]:
    if check.asynchronous is not None:
        return await check.asynchronous(context)
    plain = check.plain
    assert plain is not None
    # Abandoned when it hangs: a dead network mount must not hold the answer up.
    return await trio.to_thread.run_sync(lambda: tuple(plain(context)), abandon_on_cancel=True)
