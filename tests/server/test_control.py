"""Reload: what changed, what waits, and that a broken file changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agentgw.protocol.errors import ConfigRefused
from agentgw_daemon.config import load as config
from agentgw_daemon.config.settings import InferenceSection, Settings
from agentgw_daemon.inference.hosting.pool import open_pool
from agentgw_daemon.knowledge.ingest.watching import Watching
from agentgw_daemon.knowledge.reembedding import Reembedder
from agentgw_daemon.lifecycle.notify import Notifier
from agentgw_daemon.models.registry import open_registry
from agentgw_daemon.server.control import Control, Stop, inference_settings
from agentgw_daemon.services import Services
from agentgw_daemon.skills.library import Library
from agentgw_daemon.text.secrets import Secrets

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def control(folder: Path) -> AsyncIterator[tuple[Control, Any]]:
    file = str(folder / "config.toml")

    def reload(running: config.Config) -> Any:
        fresh = config.load(file, {})
        return fresh, *config.changed(running, fresh)

    loaded = config.load(file, {})
    async with (
        open_pool(inference_settings(loaded.settings, ""), environ={}, instance="i") as pool,
        open_registry(folder / "models", loaded.settings, environ={}, instance="i") as models,
    ):
        services = SimpleNamespace(
            started=SimpleNamespace(reload=reload, paths=SimpleNamespace(kv_dir=""), notifier=Notifier()),
            current=SimpleNamespace(config=loaded), pool=pool, models=models,
            skills=Library([("user", folder / "skills")]),
            tools=SimpleNamespace(reload=lambda servers: None), retrieval=SimpleNamespace(configure=lambda _: None),
            secrets=Secrets(),
        )  # fmt: skip
        watching, reembedding = cast(Watching, None), cast(Reembedder, SimpleNamespace(poke=lambda: None))
        yield Control(cast(Services, services), watching, reembedding, Stop()), services


async def test_a_reload_says_what_changed_and_what_waits(tmp_path: Path) -> None:
    async with control(tmp_path) as (c, services):
        (tmp_path / "config.toml").write_text(
            '[model]\ndefault = "echo"\n[inference]\nn_ctx = 1024\n[limits]\nconnections = 5\n'
        )
        (tmp_path / "skills" / "new").mkdir(parents=True)
        (tmp_path / "skills" / "new" / "SKILL.md").write_text("---\nname: new\ndescription: d\n---\nDo.\n")
        result = await c.reload()
        assert result.changed == ("inference.n_ctx", "limits.connections", "model.default", "skill new added")
        assert result.restart_needed == ("limits.connections",)
        assert services.current.config.settings.inference.n_ctx == 1024
        assert services.models.default_name() == "echo"
        assert (await c.reload()).changed == ()


async def test_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    async with control(tmp_path) as (c, services):
        before = services.current.config
        (tmp_path / "config.toml").write_text("[modle]\n")
        with pytest.raises(ConfigRefused):
            await c.reload()
        assert services.current.config is before


async def test_a_broken_file_at_a_signal_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with control(tmp_path) as (c, _):
        (tmp_path / "config.toml").write_text("[modle]\n")
        await c.reload_on_signal()
        assert "modle" in caplog.text


def test_the_pool_gets_the_section_inference() -> None:
    section = InferenceSection(n_ctx=7, slots=2, threads=3, gpu_layers=0, keep_alive_s=1.0, load_timeout_s=9.0)
    made = inference_settings(Settings(inference=section), "/cache/kv")
    assert (made.n_ctx, made.slots, made.threads, made.gpu_layers, made.keep_alive_s) == (7, 2, 3, 0, 1.0)
    assert (made.start_timeout_s, made.load_timeout_s) == (30.0, 9.0)


def test_the_pool_is_told_where_states_are_saved_and_how_much_of_the_disk_they_may_take() -> None:
    made = inference_settings(Settings(), "/cache/kv")
    assert (made.kv_dir, made.kv_cache_bytes) == ("/cache/kv", 2 << 30)
