"""Changes of the configuration that a running daemon takes over."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agentgw.local.paths import Paths
from agentgw.protocol.errors import ConfigRefused
from agentgw_daemon.config import load as config
from agentgw_daemon.config.settings import LogSection
from agentgw_daemon.lifecycle import lock
from agentgw_daemon.lifecycle.socket_name import SocketName
from agentgw_daemon.lifecycle.started import Started
from agentgw_daemon.observability.log import DaemonLog
from agentgw_daemon.text.secrets import Secrets

log = logging.getLogger("agentgw_daemon.test")


@pytest.fixture
def started(place: Paths) -> Iterator[Started]:
    """A daemon in this process, with one key in its environment."""
    with ExitStack() as closing:
        held = lock.acquire(place.lock_file, instance="i", version="1")
        closing.callback(held.close)
        secrets = Secrets()
        written = DaemonLog(place.log_file, LogSection(), secrets=secrets)
        closing.callback(written.close)
        name, listener = SocketName.bind(place)
        closing.enter_context(listener)
        yield Started(
            paths=place,
            config=config.load(place.config_file, {}),
            environ={"V_KEY": "hunter2-secret"},
            listener=listener,
            name=name,
            lock=held,
            log=written,
            secrets=secrets,
            pid=os.getpid(),
            instance="i",
            started_at="2026-01-01T00:00:00Z",
            started_monotonic_s=0.0,
            started_boottime_s=0.0,
            prewarm=False,
            foreground=False,
            scheduler=True,
            jobs_file=f"{place.config_dir}/jobs.yaml",
            serving=lambda: None,
        )


def test_a_reload_takes_the_log_over_and_says_what_changed(started: Started, place: Paths) -> None:
    log.debug("not yet")
    Path(place.config_file).write_text(
        '[log]\nlevel = "debug"\n[limits]\ndepth = 9\n[providers.v]\nbase_url = "http://x"\napi_key_env = "V_KEY"\n'
    )
    fresh = started.read()
    changed, waiting = config.changed(started.config, fresh)
    assert fresh.settings.log.level == "debug"
    assert {"log.level", "limits.depth", "providers.v.base_url"} <= set(changed)
    assert waiting == ("limits.depth",)
    log.debug("not yet either")
    started.take_over(fresh)
    log.debug("now with hunter2-secret")
    logged = Path(place.log_file).read_text()
    assert "not yet" not in logged
    assert logged.endswith("now with ***\n")


def test_a_reload_that_is_refused_changes_nothing(started: Started, place: Paths) -> None:
    Path(place.config_file).write_text('[log]\nlevel = "debug"\n[nonsense]\n')
    with pytest.raises(ConfigRefused, match="nonsense"):
        started.read()
    log.debug("not shown")
    assert Path(place.log_file).read_text() == ""
