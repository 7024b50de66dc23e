"""Each check on a healthy daemon and on one with exactly its fault; and what a broken check does."""

from __future__ import annotations

import fcntl
import importlib
import importlib.metadata
import os
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio

import agentgw
from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.protocol.calls.documents import Reembedding, WatchedFolder
from agentgw.protocol.calls.jobs import JobProblem
from agentgw.protocol.calls.webhooks import Webhook, WebhookList
from agentgw.protocol.errors import ModelUnavailable, StorageUnavailable
from agentgw.protocol.types import Finding, Model, Skill
from agentgw_daemon.config import load as config
from agentgw_daemon.config.settings import LogSection
from agentgw_daemon.doctor import models, places, system, torch
from agentgw_daemon.doctor.context import DoctorContext, fine
from agentgw_daemon.doctor.examination import CHECKS, Check, examine
from agentgw_daemon.lifecycle import lock, process
from agentgw_daemon.lifecycle.socket_name import SocketName
from agentgw_daemon.lifecycle.started import Started
from agentgw_daemon.observability.log import DaemonLog
from agentgw_daemon.storage.file.presence import WrittenBack
from agentgw_daemon.text.secrets import Secrets
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.kv_files import segment, state_file, state_folder

pytestmark = pytest.mark.anyio

SKILL = Skill(name="general-assistant", description="d", tier="shipped", path="/s")
BUILTIN = Model(name="echo", state="available", source="builtin", default=True)


async def an_embedder() -> wire.Embedder:
    return wire.Embedder(name="small", id="1", dim=384, max_tokens=256, gguf="/small.gguf")


async def no_problems() -> tuple[str, ...]:
    return ()


async def no_turns() -> tuple[tuple[str, str], ...]:
    return ()


@pytest.fixture
def context(paths: Paths) -> Iterator[DoctorContext]:
    """A healthy daemon, in this process."""
    prepare(paths)
    with ExitStack() as closing:
        held = lock.acquire(paths.lock_file, instance="i", version="1")
        closing.callback(held.close)
        log = DaemonLog(paths.log_file, LogSection())
        closing.callback(log.close)
        name, listener = SocketName.bind(paths)
        closing.enter_context(listener)
        loaded = config.load(paths.config_file, {})
        started = Started(
            paths=paths,
            config=loaded,
            environ=dict(os.environ),
            listener=listener,
            name=name,
            lock=held,
            log=log,
            secrets=Secrets(),
            pid=os.getpid(),
            instance="i",
            started_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            started_monotonic_s=time.monotonic(),
            started_boottime_s=process.boottime(),
            prewarm=False,
            foreground=False,
            scheduler=True,
            jobs_file=f"{paths.config_dir}/jobs.yaml",
            serving=lambda: None,
        )
        yield DoctorContext(
            started=started,
            config=loaded,
            check_database=no_problems,
            db_bytes=lambda: 4096,
            written_back=lambda: (),
            models=lambda: (BUILTIN,),
            skills=lambda: (SKILL,),
            embedder=an_embedder,
            jobs_file=f"{paths.config_dir}/jobs.yaml",
            job_problems=lambda: (),
            watched=lambda: (),
            webhooks=no_webhooks,
            webhooks_exposed=lambda: None,
            http=None,
            reembedding=lambda: None,
            fatal_turns=no_turns,
        )


async def no_webhooks() -> WebhookList:
    return WebhookList(webhooks=())


async def finding(context: DoctorContext, check: str) -> Finding:
    """The first thing that one check of the table says."""
    return (await examine(context, tuple(one for one in CHECKS if one.name == check)))[0]


async def test_on_a_healthy_daemon_every_check_is_content(context: DoctorContext) -> None:
    findings = await examine(context)
    assert [one.check for one in findings] == [check.name for check in CHECKS]
    # SQLite's version and lingering are the machine's.
    assert {one.check for one in findings if one.severity != "ok"} <= {"sqlite", "linger"}
    assert all(one.severity in ("ok", "info") for one in findings)


def _loosen(context: DoctorContext) -> None:
    os.chmod(context.started.paths.cache_dir, 0o755)


def _remove_directory(context: DoctorContext) -> None:
    os.rmdir(context.started.paths.cache_dir)


def _remove_socket(context: DoctorContext) -> None:
    os.unlink(context.started.paths.socket)


def _block_socket(context: DoctorContext) -> None:
    os.unlink(context.started.paths.socket)
    Path(context.started.paths.socket).touch()


def _loosen_socket(context: DoctorContext) -> None:
    os.chmod(context.started.paths.socket, 0o666)


def _close_listener(context: DoctorContext) -> None:
    context.started.listener.close()
    os.rename(context.started.paths.socket, context.started.paths.socket + ".x")
    os.link(context.started.paths.socket + ".x", context.started.paths.socket)
    context.started.name._ours = None


def _remove_lock(context: DoctorContext) -> None:
    os.unlink(context.started.paths.lock_file)


def _break_config(context: DoctorContext) -> None:
    Path(context.started.paths.config_file).write_text("[inference]\nslotz = 1\n")


def _share_config(context: DoctorContext) -> None:
    Path(context.started.paths.config_file).touch()
    os.chmod(context.started.paths.config_file, 0o666)


def _change_config(context: DoctorContext) -> None:
    Path(context.started.paths.config_file).write_text("[inference]\nslots = 3\n")


def _forget_key(context: DoctorContext) -> None:
    Path(context.started.paths.config_file).write_text(
        '[providers.v]\nbase_url="http://x"\napi_key_env="NO_SUCH_KEY"\n'
    )


def _remove_log(context: DoctorContext) -> None:
    os.unlink(context.started.paths.log_file)


def _share_log(context: DoctorContext) -> None:
    os.chmod(context.started.paths.log_file, 0o644)


def _leave_half_made(context: DoctorContext) -> None:
    # No process can have the largest pid there is plus one.
    highest = int(Path("/proc/sys/kernel/pid_max").read_text())
    Path(context.started.paths.run_dir, f".tmp.{highest + 1}").touch()


@pytest.mark.parametrize(
    ("spoil", "check", "severity", "said", "fix"),
    [
        (_loosen, "directories", "error", "open to others (mode 0755)", "chmod 700"),
        (_remove_directory, "directories", "error", "is missing", "agentgw restart"),
        (_remove_socket, "socket", "error", "is gone", "wait 5 s"),
        (_block_socket, "socket", "error", "is not a socket", "rm "),
        (_loosen_socket, "socket", "error", "open to others (mode 0666)", "chmod 600"),
        (_close_listener, "socket", "error", "nobody listens", "wait 5 s"),
        (_remove_lock, "locks", "error", "a second daemon could start", "agentgw restart"),
        (_leave_half_made, "locks", "info", "half-made sockets of clients that were killed: 1", "next start"),
        (_break_config, "config", "error", "unknown key inference.slotz; did you mean inference.slots?", "config edit"),
        (_share_config, "config", "warning", "others may write", "chmod 600"),
        (_change_config, "config", "info", "changed since it was read: inference.slots", "agentgw reload"),
        (_remove_log, "log", "error", "cannot be written", "agentgw restart"),
        (_share_log, "log", "warning", "open to others", "chmod 600"),
    ],
)
async def test_a_fault_is_named_with_its_fix(
    context: DoctorContext, spoil: Callable[[DoctorContext], None], check: str, severity: str, said: str, fix: str
) -> None:
    spoil(context)
    found = await finding(context, check)
    assert found.severity == severity
    assert said in found.message
    assert found.fix is not None
    assert fix in found.fix


async def test_a_key_that_is_not_in_the_environment_is_named(context: DoctorContext) -> None:
    _forget_key(context)
    findings = await examine(context, tuple(one for one in CHECKS if one.name == "config"))
    assert any("NO_SUCH_KEY is not set" in one.message for one in findings)


async def test_a_held_spawn_lock_is_told(context: DoctorContext) -> None:
    with open(context.started.paths.spawn_lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = await finding(context, "locks")
    assert (found.severity, "spawn.lock" in found.message) == ("warning", True)
    assert (await finding(context, "locks")).severity == "ok"


async def test_another_listener_is_told(context: DoctorContext, paths: Paths) -> None:
    os.unlink(paths.socket)
    _, other = SocketName.bind(paths)
    with other:
        found = await finding(context, "socket")
    assert (found.severity, "another process listens" in found.message) == ("error", True)


async def test_a_managed_socket_is_fixed_by_its_manager(context: DoctorContext, paths: Paths) -> None:
    context = replace(context, started=replace(context.started, name=SocketName(paths, managed=True)))
    os.unlink(paths.socket)
    assert (await finding(context, "socket")).fix == "systemctl --user restart agentgw.socket"


def _elsewhere(context: DoctorContext, tmp_path: Path, **environ: str) -> DoctorContext:
    paths = Paths(Environment({"HOME": str(tmp_path), **environ}))
    return replace(context, started=replace(context.started, paths=paths))


async def test_a_runtime_directory_that_fell_back_is_told(context: DoctorContext, tmp_path: Path) -> None:
    found = await finding(_elsewhere(context, tmp_path, XDG_RUNTIME_DIR="relative"), "runtime-directory")
    assert (found.severity, "XDG_RUNTIME_DIR is relative" in found.message) == ("warning", True)


async def test_places_are_compared_with_the_systems(
    context: DoctorContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.delenv(f"XDG_{name}_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (await finding(_elsewhere(context, tmp_path), "standard-places")).severity == "ok"
    found = await finding(_elsewhere(context, tmp_path, XDG_DATA_HOME="/elsewhere"), "standard-places")
    assert found.severity == "warning"
    assert "/elsewhere/agentgw" in found.message


@pytest.mark.parametrize(("free", "severity"), [(10 << 20, "error"), (500 << 20, "warning"), (2 << 30, "ok")])
async def test_disk_space(context: DoctorContext, free: int, severity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_FREE_ERROR_BYTES", 64 << 20)
    real = os.statvfs(context.started.paths.data_dir)

    class Status:
        f_bavail, f_frsize = free // real.f_frsize, real.f_frsize

    monkeypatch.setattr(os, "statvfs", lambda path: Status)
    assert (await finding(context, "disk-space")).severity == severity


async def test_what_saved_states_take_of_the_disk_is_told(context: DoctorContext) -> None:
    header = segment.describe(segment.ROOT, 0, segment.pack([1]), 3 << 20)
    folder = state_folder.model_folder(Path(context.started.paths.kv_dir), "model")
    state_file.write(folder / state_folder.file_name("s-1", header.digest), header, bytes(3 << 20))
    found = await finding(context, "kv-cache")
    assert found.severity == "ok"
    assert found.message == f"1 saved states in {context.started.paths.kv_dir}, 3 of 2048 MiB"


async def test_a_network_filesystem_is_told(
    context: DoctorContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / " + str(tmp_path.resolve()) + " rw - nfs4 host:/x rw\n"
    )
    monkeypatch.setattr(places, "_MOUNTINFO", str(table))
    found = await finding(context, "network-filesystem")
    assert (found.severity, "nfs4" in found.message) == ("warning", True)
    table.unlink()
    assert (await finding(context, "network-filesystem")).severity == "info"


async def test_a_damaged_database_is_told(context: DoctorContext) -> None:
    async def damaged() -> tuple[str, ...]:
        return ("row 3 missing from index", "page 7 is never used")

    found = await finding(replace(context, check_database=damaged), "database")
    assert (found.severity, found.message) == ("error", "quick check: row 3 missing from index and 1 more")

    async def unavailable() -> tuple[str, ...]:
        raise StorageUnavailable("disk I/O error", hint="check the disk")

    found = await finding(replace(context, check_database=unavailable), "database")
    assert (found.severity, found.message, found.fix) == ("error", "disk I/O error", "check the disk")


async def test_a_database_that_was_removed_under_the_daemon_is_told(context: DoctorContext) -> None:
    removed = WrittenBack(what="agentgw.db", at="2026-01-01T00:00:00Z")
    found = await finding(replace(context, written_back=lambda: (removed, removed)), "database")
    assert found.severity == "warning"
    assert "agentgw.db was removed at 2026-01-01T00:00:00Z" in found.message
    assert "the last of 2 times" in found.message


@pytest.mark.parametrize(("version", "severity"), [("3.40.1", "info"), ("3.51.3", "ok")])
async def test_sqlites_version_is_judged(
    context: DoctorContext, version: str, severity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version", version)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", tuple(map(int, version.split("."))))
    found = await finding(context, "sqlite")
    assert (found.severity, version in found.message) == (severity, True)


async def test_an_engine_that_cannot_be_imported_is_told(
    context: DoctorContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that dies of a signal counts like one that says why."""
    fake = tmp_path / "python"
    monkeypatch.setattr(models.sys, "executable", str(fake))
    fake.write_text("#!/bin/sh\necho 'Traceback' >&2\necho 'OSError: libllama.so: no such file' >&2\nexit 1\n")
    fake.chmod(0o700)
    found = await finding(context, "engine")
    assert (found.severity, "libllama.so" in found.message) == ("error", True)
    assert "pip install" in (found.fix or "")
    fake.write_text("#!/bin/sh\nkill -9 $$\n")
    assert "status -9" in (await finding(context, "engine")).message


@pytest.mark.parametrize(
    ("model", "wanted", "severity", "said"),
    [
        (None, None, "warning", "there is no model yet"),
        (None, "smollm2:135m", "error", "smollm2:135m is not there"),
        (replace(BUILTIN, name="a", state="not_pulled"), "a", "error", "a is not there"),
        (replace(BUILTIN, name="v/m", source="provider"), "v/m", "ok", "v/m (provider)"),
        (replace(BUILTIN, name="f", source="file", path="/dev/null"), "f", "error", "/dev/null"),
        (replace(BUILTIN, name="f", source="file", path="/no/such.gguf"), "f", "error", "/no/such.gguf"),
    ],
)
async def test_the_default_model(
    context: DoctorContext, model: Model | None, wanted: str | None, severity: str, said: str
) -> None:
    settings = context.config.settings
    loaded = replace(context.config, settings=replace(settings, model=replace(settings.model, default=wanted)))
    found = await finding(replace(context, config=loaded, models=lambda: (model,) if model else ()), "model")
    assert (found.severity, said in found.message) == (severity, True)
    assert (found.fix is None) == (severity == "ok")


async def test_too_little_memory_for_the_model_is_told(context: DoctorContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.memory, "available_bytes", lambda: 1 << 30)

    def with_size(size: int, **more: Any) -> DoctorContext:
        model = replace(BUILTIN, path="/x.gguf", size_bytes=size, **more)
        return replace(context, models=lambda: (model,))

    assert (await finding(with_size(1 << 30), "memory")).severity == "warning"
    assert (await finding(with_size(1 << 30, state="loaded"), "memory")).severity == "ok"
    assert (await finding(with_size(1 << 29), "memory")).severity == "ok"
    assert (await finding(context, "memory")).message == "1.0 GiB available"


async def test_broken_skills_are_listed(context: DoctorContext) -> None:
    broken = replace(SKILL, name="bad", error="no description", path="/s/bad")
    found = await finding(replace(context, skills=lambda: (SKILL, broken)), "skills")
    assert (found.severity, found.message, found.fix) == (
        "warning",
        "bad: no description",
        "agentgw skills validate /s/bad",
    )
    found = await finding(replace(context, skills=lambda: ()), "skills")
    assert (found.severity, "general-assistant is not there" in found.message) == ("error", True)


async def test_a_package_upgraded_under_the_daemon_is_told(
    context: DoctorContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    found = await finding(context, "version")
    assert found.severity == "warning"
    assert found.message == f"{agentgw.__version__} runs, 99.0 is installed"
    assert found.fix == "agentgw restart"


async def test_a_clock_that_was_set_is_told(context: DoctorContext, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real + 3600)
    found = await finding(context, "clock")
    assert (found.severity, "+3600 s" in found.message or "+3599 s" in found.message or "+3601 s" in found.message) == (
        "info",
        True,
    )
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert (await finding(context, "clock")).severity == "error"


async def test_too_few_descriptors_are_told(context: DoctorContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 4096))
    found = await finding(context, "file-descriptors")
    assert (found.severity, found.fix) == ("warning", "ulimit -n 320")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert (await finding(context, "file-descriptors")).severity == "ok"


async def test_without_linger_the_daemon_ends_at_logout(
    context: DoctorContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AtRunUser(Paths):
        __slots__ = ()

    paths = AtRunUser(Environment({"HOME": str(tmp_path)}))
    paths.run_dir = "/run/user/1000/agentgw"
    context = replace(context, started=replace(context.started, paths=paths))
    monkeypatch.setattr(system, "_SYSTEMD", str(tmp_path))
    monkeypatch.setattr(system, "_LINGER", str(tmp_path))
    found = await finding(context, "linger")
    assert (found.severity, "enable-linger" in (found.fix or "")) == ("info", True)
    import pwd

    (tmp_path / pwd.getpwuid(os.getuid()).pw_name).touch()
    assert (await finding(context, "linger")).severity == "ok"


async def test_a_check_that_fails_is_a_finding_and_spoils_nothing(context: DoctorContext, paths: Paths) -> None:
    def broken(context: DoctorContext) -> tuple[()]:
        raise ZeroDivisionError("a canary")

    table = (
        Check(name="before", plain=lambda context: (fine("a"),)),
        Check(name="broken", plain=broken),
        Check(name="after", plain=lambda context: (fine("b"),)),
    )
    findings = await examine(context, table)
    assert [one.check for one in findings] == ["before", "broken", "after"]
    assert [one.severity for one in findings] == ["ok", "error", "ok"]
    assert "canary" not in findings[1].message
    assert "ZeroDivisionError: a canary" in Path(paths.log_file).read_text()


async def test_a_check_that_hangs_is_a_finding(context: DoctorContext) -> None:
    async def hang(context: DoctorContext) -> tuple[()]:
        await trio.sleep_forever()
        raise AssertionError

    findings = await examine(context, (Check(name="hangs", asynchronous=hang, timeout_s=0.001),))
    assert [(one.check, one.severity, one.message) for one in findings] == [
        ("hangs", "error", "did not finish within 0.001 s")
    ]


async def test_turns_that_ended_a_daemon_are_named_with_what_to_do(context: DoctorContext) -> None:
    async def one() -> tuple[tuple[str, str], ...]:
        return (("t-1", "s-1"),)

    found = await finding(replace(context, fatal_turns=one), "turns")
    assert found.severity == "warning"
    assert "t-1" in found.message
    assert "agentgw turns show t-1" in (found.fix or "")
    assert "agentgw sessions delete s-1" in (found.fix or "")


async def test_documents(context: DoctorContext) -> None:
    folder = WatchedFolder(path="/notes", collection="default", state="following", since="2026-01-01T00:00:00Z")
    assert (await finding(replace(context, watched=lambda: (folder,)), "documents")).message == "1 folders are followed"
    missing = replace(folder, state="missing", error="is not there")
    found = await finding(replace(context, watched=lambda: (folder, missing)), "documents")
    assert (found.severity, found.message) == ("warning", "/notes is followed, but is not there")
    assert found.fix == "agentgw ingest --unwatch /notes lets it go"
    found = await finding(replace(context, reembedding=lambda: Reembedding(embedder="e", chunks_left=7)), "documents")
    assert (found.severity, found.message.partition(";")[0]) == ("info", "7 chunks are being embedded anew with e")
    stopped = Reembedding(embedder="e", chunks_left=7, error="the embedder e is not pulled")
    found = await finding(replace(context, reembedding=lambda: stopped), "documents")
    assert (found.severity, "is not pulled" in found.message) == ("warning", True)


async def test_embedder(context: DoctorContext) -> None:
    assert (await finding(context, "embedder")).message == "small, 384 dimensions"

    async def slow() -> wire.Embedder:
        return replace(await an_embedder(), gguf="", folder="/small")

    found = await finding(replace(context, embedder=slow), "embedder")
    assert (found.severity, found.message.partition(";")[0]) == ("warning", "small, 384 dimensions")

    async def missing() -> wire.Embedder:
        raise ModelUnavailable("the embedder small is not pulled", suggestion="small")

    found = await finding(replace(context, embedder=missing), "embedder")
    assert (found.severity, found.fix) == ("info", "agentgw pull small")

    async def broken() -> wire.Embedder:
        raise ModelUnavailable("the embedder /x cannot be used: is a directory", hint="correct it")

    found = await finding(replace(context, embedder=broken), "embedder")
    assert (found.severity, found.fix) == ("error", "correct it")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that packages are found in, where the three that are looked for can be made."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(torch, "_NEEDED", ("heavy_torch", "heavy_transformers"))
    monkeypatch.setattr(torch, "_CUDA", "heavy_nvidia")
    return tmp_path


def _install(packages: Path, *names: str) -> None:
    for name in names:
        (packages / name).mkdir()
        (packages / name / "__init__.py").touch()
    importlib.invalidate_caches()


async def test_torch_is_optional(context: DoctorContext, packages: Path) -> None:
    found = await finding(context, "torch")
    assert (found.severity, found.message.partition(":")[0]) == ("info", "torch is not installed")
    _install(packages, "heavy_torch")
    assert (await finding(context, "torch")).message.startswith("torch is not installed")
    _install(packages, "heavy_transformers")
    assert (await finding(context, "torch")).severity == "ok"


async def test_cuda_libraries_without_a_graphics_card_are_told_with_their_size(
    context: DoctorContext, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(packages, "heavy_torch", "heavy_transformers", "heavy_nvidia")
    with open(packages / "heavy_nvidia" / "libcublas.so", "wb") as library:
        library.truncate(2_500_000_000)
    monkeypatch.setattr(torch, "_NVIDIA_DRIVER", str(packages / "no driver"))
    found = await finding(context, "torch")
    assert (found.severity, found.message.partition(" of ")[0]) == ("info", "2.5 GB")
    monkeypatch.setattr(torch, "_NVIDIA_DRIVER", str(packages))
    assert (await finding(context, "torch")).severity == "ok"


async def test_an_embedder_that_only_torch_could_run_is_an_error_without_torch(
    context: DoctorContext, packages: Path
) -> None:
    async def folder_alone() -> wire.Embedder:
        return replace(await an_embedder(), gguf="", folder="/small")

    context = replace(context, embedder=folder_alone)
    assert (await finding(context, "embedder")).severity == "error"
    _install(packages, "heavy_torch", "heavy_transformers")
    assert (await finding(context, "embedder")).severity == "warning"


async def test_each_bad_entry_of_the_jobs_file_is_told_with_its_line(context: DoctorContext) -> None:
    problems = tuple(JobProblem(line=line, reason="the job has no time", job=f"j{line}") for line in range(1, 13))
    found = await examine(
        replace(context, job_problems=lambda: problems), tuple(one for one in CHECKS if one.name == "jobs")
    )
    assert found[0].severity == "error"
    assert found[0].message.endswith("jobs.yaml:1: job j1: the job has no time")
    assert (len(found), found[-1].message.partition(" in ")[0]) == (11, "2 more problems")


def webhook(**fields: object) -> Webhook:
    given: dict[str, object] = {
        "name": "build", "host": "https://x.org", "events": ("agent.started",), "state": "enabled", "signed": True,
        "local": False, "pending": 0, "dropped": 0,
    }  # fmt: skip
    return Webhook(**(given | fields))  # type: ignore[arg-type]  # the test's own fields


@pytest.mark.parametrize(
    ("found", "severity", "said"),
    [
        (WebhookList(webhooks=(), problems=("webhooks.yaml:3: x",)), "error", "webhooks.yaml:3: x"),
        (WebhookList(webhooks=(webhook(state="gone", gone_at="2027"),)), "warning", "build is off since 2027"),
        (WebhookList(webhooks=(webhook(dropped=7),)), "warning", "7 events found its queue full"),
        (WebhookList(webhooks=(webhook(signed=False),)), "info", "build has no secret"),
        (WebhookList(webhooks=(webhook(),)), "ok", "told of events: 1"),
        (WebhookList(webhooks=(webhook(state="disabled"),)), "ok", "no webhook"),
    ],
)
async def test_what_keeps_an_event_from_its_receiver_is_told(
    context: DoctorContext, found: WebhookList, severity: str, said: str
) -> None:
    async def webhooks() -> WebhookList:
        await trio.lowlevel.checkpoint()
        return found

    told = await finding(replace(context, webhooks=webhooks), "webhooks")
    assert told.severity == severity
    assert said in told.message


async def test_a_file_of_secrets_that_others_may_read_is_told(context: DoctorContext) -> None:
    told = await finding(replace(context, webhooks_exposed=lambda: "/x/webhooks.yaml"), "webhooks")
    assert (told.severity, told.fix) == ("warning", "chmod 600 /x/webhooks.yaml")
