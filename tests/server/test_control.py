"""Reload: what changed, what waits, and that a broken file changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from agentgw.protocol.errors import ConfigRefused, NotFound
from agentgw.protocol.records.schema import record
from agentgw_daemon.config import load as config
from agentgw_daemon.config.settings import InferenceSection, McpServerSection, Settings
from agentgw_daemon.inference.pool import open_pool
from agentgw_daemon.knowledge.ingest.watching import Watching
from agentgw_daemon.knowledge.reembedding import Reembedder
from agentgw_daemon.lifecycle.notify import Notifier
from agentgw_daemon.lifecycle.started import Started
from agentgw_daemon.models.registry import open_registry
from agentgw_daemon.retrieval.pool import Retrieval
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.scheduler.jobs import Jobs
from agentgw_daemon.server.control import Control, Stop, inference_settings
from agentgw_daemon.services import Current, Services
from agentgw_daemon.skills.library import Library
from agentgw_daemon.tools.catalogue import Catalogue
from agentgw_daemon.tools.tool import RunnableTool
from agentgw_daemon.webhooks.webhooks import Webhooks
from tests.fakes import FakePaths, part_of

pytestmark = pytest.mark.anyio


class FakeJobs(Jobs):
    """Jobs whose file says something else when the test says so."""

    def __init__(self) -> None:
        self.differ = False

    async def reload(self) -> bool:
        return self.differ


@record
class ReloadedStart(Started):
    """A start that keeps what it takes over."""

    taken: list[config.Config]

    def take_over(self, fresh: config.Config) -> None:
        self.taken.append(fresh)


class NoTools(Catalogue):
    """No tool and no server."""

    def __init__(self) -> None:
        pass

    current: Mapping[str, RunnableTool] = MappingProxyType({})

    def reload(self, servers: Mapping[str, McpServerSection]) -> None:
        pass

    async def look(self) -> None:
        pass

    def absence(self, name: str) -> str:
        return ""


class NoRetrieval(Retrieval):
    """No worker."""

    def __init__(self) -> None:
        pass

    def configure(self, settings: RetrievalSettings) -> None:
        pass


class NoEmbedding(Reembedder):
    """Nothing to embed."""

    def __init__(self) -> None:
        pass

    def poke(self) -> None:
        pass


class NoWebhooks(Webhooks):
    """Nobody is told of anything."""

    def __init__(self) -> None:
        pass

    async def reload(self) -> bool:
        return False


@asynccontextmanager
async def control(folder: Path, jobs: Jobs | None = None) -> AsyncIterator[tuple[Control, Services, ReloadedStart]]:
    file = str(folder / "config.toml")

    loaded = config.load(file, {})
    async with (
        open_pool(inference_settings(loaded.settings, ""), environ={}, instance="i") as pool,
        open_registry(folder / "models", loaded.settings, environ={}, instance="i") as models,
    ):
        started = part_of(ReloadedStart, paths=FakePaths(file), notifier=Notifier(), environ={}, flags={}, taken=[])
        services = part_of(
            Services, started=started, current=Current(loaded), pool=pool, models=models,
            skills=Library([("user", folder / "skills")]), tools=NoTools(), retrieval=NoRetrieval(),
        )  # fmt: skip
        watching = part_of(Watching)
        made = Control(services, jobs or FakeJobs(), watching, NoEmbedding(), NoWebhooks(), None, Stop())
        yield made, services, started


async def test_a_reload_says_what_changed_and_what_waits(tmp_path: Path) -> None:
    jobs = FakeJobs()
    async with control(tmp_path, jobs) as (c, services, _):
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
        jobs.differ = True
        assert (await c.reload()).changed == ("jobs",)


async def test_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    async with control(tmp_path) as (c, services, _):
        before = services.current.config
        (tmp_path / "config.toml").write_text("[modle]\n")
        with pytest.raises(ConfigRefused):
            await c.reload()
        assert services.current.config is before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[model]\ndefault = "nosuch"\n', "there is no model nosuch"),
        ('[model]\ndefault = "/no/such.gguf"\n', "there is no file /no/such.gguf"),
        ('[agent]\ndefault_skill = "nosuch"\n', "there is no skill nosuch"),
        ('[rag]\nembedder = "nosuch"\n', "there is no embedder nosuch"),
        ('[rag]\nembedder = "/no/such"\n', "there is no /no/such"),
    ],
)
async def test_a_default_that_does_not_exist_is_refused_where_it_is_set(tmp_path: Path, text: str, said: str) -> None:
    async with control(tmp_path) as (c, services, started):
        (tmp_path / "config.toml").write_text(f"{text}[log]\nbackups = 9\n")
        with pytest.raises(ConfigRefused, match=said):
            await c.reload()
        assert services.current.config.settings == Settings()
        assert started.taken == []


@pytest.mark.parametrize(
    "text",
    [
        '[model]\ndefault = "smollm2:135m"\n', '[model]\ndefault = "hf:o/r"\n', '[agent]\ndefault_skill = "auto"\n',
        '[rag]\nembedder = "hf:o/r"\n', '[rag]\nembedder = "/"\n',
        '[model]\ndefault = "x/m"\n[providers.x]\nbase_url = "http://x/v1"\n',
    ],
)  # fmt: skip
async def test_a_default_that_can_be_had_is_taken(tmp_path: Path, text: str) -> None:
    async with control(tmp_path) as (c, _, _):
        (tmp_path / "config.toml").write_text(text)
        assert (await c.reload()).changed


async def test_a_key_is_set_in_the_file_and_holds_at_once(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    async with control(tmp_path) as (c, services, _):
        file.write_text("# mine\n[log]\nlevel = 'info'  # quiet\n")
        result = await c.set("log.level", "debug")
        assert result.changed == ("log.level",)
        assert file.read_text() == '# mine\n[log]\nlevel = "debug"  # quiet\n'
        assert services.current.config.settings.log.level == "debug"
        assert (await c.set("log.level", "debug")).changed == ()


@pytest.mark.parametrize(
    ("key", "text"),
    [("log.backups", "0"), ("log.backups", "many"), ("model.default", "nosuch"), ("agent.default_skill", "x"),
     ("log.level", "loud"), ("rag.embedder", "nosuch"), ("rag.embedder", "/no/such"), ("rag.embedder", "/x.gguf"),
     ("mcp.servers.a__b.command", "x"), ("tools.roots", "relative")],
)  # fmt: skip
async def test_what_the_daemon_could_not_run_with_is_not_written(tmp_path: Path, key: str, text: str) -> None:
    async with control(tmp_path) as (c, services, _):
        with pytest.raises(ConfigRefused):
            await c.set(key, text)
        assert not (tmp_path / "config.toml").exists()
        assert services.current.config.settings == Settings()


async def test_a_key_is_taken_out_and_its_default_holds_again(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[log]\n# mine\nbackups = 9\nlevel = 'info'\n")
    async with control(tmp_path) as (c, services, _):
        assert (await c.unset("log.backups")).changed == ("log.backups",)
        assert file.read_text() == "[log]\n# mine\nlevel = 'info'\n"
        assert services.current.config.settings.log.backups == Settings().log.backups
        with pytest.raises(NotFound, match=r"log\.backups is not set in") as caught:
            await c.unset("log.backups")
        assert caught.value.hint == "its value is the default"
        with pytest.raises(NotFound, match=r"there is no setting log\.backup"):
            await c.unset("log.backup")


async def test_a_key_of_the_environment_cannot_be_taken_out_of_the_file(tmp_path: Path) -> None:
    async with control(tmp_path) as (c, _, started):
        started.environ["AGENTGW_LOG__BACKUPS"] = "7"
        await c.reload()
        with pytest.raises(NotFound) as caught:
            await c.unset("log.backups")
        assert caught.value.hint == "it is set by AGENTGW_LOG__BACKUPS"
        await c.set("log.backups", "5")
        assert (await c.unset("log.backups")).notices == (
            "AGENTGW_LOG__BACKUPS is set in the daemon's environment and wins",
        )


async def test_a_key_that_others_need_is_not_taken_out(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text := '[providers.x]\nbase_url = "http://x/v1"\napi_key_env = "K"\n')
    async with control(tmp_path) as (c, _, _):
        with pytest.raises(ConfigRefused, match="base_url missing"):
            await c.unset("providers.x.base_url")
        assert file.read_text() == text


@pytest.mark.parametrize("text", ["[log]\nbackups = 1\nbackups = 2\n", "[log\n"])
async def test_what_is_wrong_with_the_file_is_told_before_a_key_is_set(tmp_path: Path, text: str) -> None:
    async with control(tmp_path) as (c, _, _):
        (tmp_path / "config.toml").write_text(text)
        with pytest.raises(ConfigRefused, match="at line"):
            await c.set("log.backups", "5")
        assert (tmp_path / "config.toml").read_text() == text


async def test_a_key_that_the_environment_sets_is_told_to_win(tmp_path: Path) -> None:
    async with control(tmp_path) as (c, services, started):
        started.environ["AGENTGW_LOG__BACKUPS"] = "7"
        assert (await c.set("log.backups", "5")).notices == (
            "AGENTGW_LOG__BACKUPS is set in the daemon's environment and wins",
        )
        assert services.current.config.settings.log.backups == 7


async def test_a_tool_that_does_not_exist_is_told_where_it_is_allowed(tmp_path: Path) -> None:
    async with control(tmp_path) as (c, _, _):
        assert (await c.set("tools.allow", "nosuch")).notices == (
            "tools.allow names nosuch, and there is no such tool",
        )


async def test_a_link_stays_one_when_a_key_is_set(tmp_path: Path) -> None:
    async with control(tmp_path) as (c, _, _):
        (tmp_path / "real.toml").write_text("")
        (tmp_path / "config.toml").symlink_to(tmp_path / "real.toml")
        await c.set("log.backups", "5")
        assert (tmp_path / "config.toml").is_symlink()
        assert (tmp_path / "real.toml").read_text() == "[log]\nbackups = 5\n"


async def test_a_broken_file_at_a_signal_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with control(tmp_path) as (c, _, _):
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
