"""Origins of values, and refusals of what is no value."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.errors import ConfigRefused, NotFound
from agentgw.protocol.records.schema import fields_of
from agentgw_daemon.config import load as config
from agentgw_daemon.config.config_file import MAX_FILE_BYTES
from agentgw_daemon.config.load import Config
from agentgw_daemon.config.settings import McpServerSection, ProviderSection, Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """`config.toml`, not there yet."""
    return tmp_path / "config.toml"


def load(file: Path, text: str = "", **environ: str) -> Config:
    if text:
        file.write_text(text)
    return config.load(str(file), environ)


def origin(loaded: Config, key: str) -> tuple[Any, str]:
    return next((one.value, one.origin) for one in loaded.origins if one.key == key)


def test_without_a_file_everything_is_the_default(file: Path) -> None:
    loaded = load(file)
    assert loaded.settings == Settings()
    assert {one.origin for one in loaded.origins} == {"default"}


def test_the_defaults_are_as_listed() -> None:
    settings = Settings()
    assert settings.agent.default_skill == "general-assistant"
    limits = settings.limits
    assert (limits.max_message_bytes, limits.connections, limits.in_flight, limits.depth) == (1 << 20, 256, 32, 64)
    assert (limits.frame_timeout_s, limits.write_stall_s, limits.outbox_bytes, limits.shutdown_s) == (
        10,
        10,
        1 << 20,
        20,
    )


def test_every_setting_has_an_origin(file: Path) -> None:
    keys = {one.key for one in load(file, '[providers.p]\nbase_url = "http://localhost/v1"\n').origins}
    sections = {field.name: field.type for field in fields_of(Settings) if field.name not in ("providers", "mcp")}
    expected = {f"{name}.{key.name}" for name, section in sections.items() for key in fields_of(section)}
    assert keys == expected | {f"providers.p.{key.name}" for key in fields_of(ProviderSection)}


def test_the_environment_beats_the_file_and_the_file_the_default(file: Path) -> None:
    loaded = load(
        file, "[inference]\nslots = 2\nthreads = 3\n", AGENTGW_INFERENCE__SLOTS="5", AGENTGW_HOME="/x", OTHER__KEY="y"
    )
    assert (loaded.settings.inference.slots, loaded.settings.inference.threads) == (5, 3)
    assert origin(loaded, "inference.slots") == (5, "AGENTGW_INFERENCE__SLOTS")
    assert origin(loaded, "inference.threads") == (3, str(file))
    assert origin(loaded, "inference.n_ctx") == (0, "default")


def test_a_flag_beats_them_all_and_is_refused_by_its_key(file: Path) -> None:
    file.write_text("[http]\nport = 1\n")
    loaded = config.load(str(file), {"AGENTGW_HTTP__PORT": "2"}, {"http.port": 3, "http.enabled": True})
    assert (loaded.settings.http.port, loaded.settings.http.enabled) == (3, True)
    assert origin(loaded, "http.port") == (3, "command line")
    with pytest.raises(ConfigRefused, match=r"command line: http\.port must be at most 65535") as refused:
        config.load(str(file), {}, {"http.port": 99999})
    assert refused.value.hint == "correct or unset it"


@pytest.mark.parametrize(
    "line", ['port = 65536', 'port = -1', 'host = ""', 'host = "a b"', 'allow_origins = ["app.example"]',
             'allow_origins = ["https://app.example/"]', 'allow_hosts = ["http://x"]', 'allow_hosts = ["*"]',
             "requests = 0", 'key = "x"'],
)  # fmt: skip
def test_what_cannot_be_a_door_is_refused(file: Path, line: str) -> None:
    with pytest.raises(ConfigRefused, match="http"):
        load(file, f"[http]\n{line}\n")


@pytest.mark.parametrize(
    ("variable", "text", "read"),
    [
        ("INFERENCE__GPU_LAYERS", "-1", lambda s: s.inference.gpu_layers == -1),
        ("INFERENCE__KEEP_ALIVE_S", " 2.5 ", lambda s: s.inference.keep_alive_s == 2.5),
        ("LIMITS__SHUTDOWN_S", "3", lambda s: s.limits.shutdown_s == 3.0),
        ("MODEL__DEFAULT", "smollm2:135m", lambda s: s.model.default == "smollm2:135m"),
        ("MODEL__DEFAULT", "7", lambda s: s.model.default == "7"),
        ("LOG__LEVEL", "debug", lambda s: s.log.level == "debug"),
        # In the words that `config show` has for it, too.
        *(("SCHEDULER__ENABLED", word, lambda s: s.scheduler.enabled) for word in ("true", "True", " yes ", "on")),
        *(("SCHEDULER__ENABLED", word, lambda s: not s.scheduler.enabled) for word in ("false", "NO", "Off")),
    ],
)
def test_variables_are_read_as_their_keys_type(file: Path, variable: str, text: str, read: Any) -> None:
    assert read(load(file, **{f"AGENTGW_{variable}": text}).settings)


@pytest.mark.parametrize("text", ["a, b", '["a", "b"]', "a,,b,"])
def test_a_list_in_a_variable(file: Path, text: str) -> None:
    provider = '[providers."my-vllm.1"]\nbase_url = "http://localhost:8000/v1"\n'
    loaded = load(file, provider, AGENTGW_PROVIDERS__MY_VLLM_1__MODELS=text)
    assert loaded.settings.providers["my-vllm.1"].models == ("a", "b")
    assert origin(loaded, "providers.my-vllm.1.models")[1] == "AGENTGW_PROVIDERS__MY_VLLM_1__MODELS"


def test_a_provider_can_come_from_the_environment_alone(file: Path) -> None:
    loaded = load(
        file, AGENTGW_PROVIDERS__V__BASE_URL="https://example.org/v1", AGENTGW_PROVIDERS__V__API_KEY_ENV="V_KEY"
    )
    assert loaded.settings.providers["v"].api_key_env == "V_KEY"
    # It holds a variable's name, so it is shown.
    assert origin(loaded, "providers.v.api_key_env") == ("V_KEY", "AGENTGW_PROVIDERS__V__API_KEY_ENV")


def test_an_mcp_server_of_the_file_and_the_environment(file: Path) -> None:
    server = '[mcp.servers.my-time]\ncommand = "uvx"\nargs = ["x"]\nenv = {KEY = "$OURS", TZ = "UTC"}\n'
    loaded = load(
        file, server, AGENTGW_MCP__SERVERS__MY_TIME__TIMEOUT_S="5", AGENTGW_MCP__SERVERS__WEB__URL="http://x/mcp"
    )
    assert loaded.settings.mcp.servers == {
        "my-time": McpServerSection(command="uvx", args=("x",), env={"KEY": "$OURS", "TZ": "UTC"}, timeout_s=5.0),
        "web": McpServerSection(url="http://x/mcp"),
    }
    assert origin(loaded, "mcp.servers.my-time.timeout_s") == (5.0, "AGENTGW_MCP__SERVERS__MY_TIME__TIMEOUT_S")
    # A literal may be a key; the name of a variable is none.
    assert origin(loaded, "mcp.servers.my-time.env")[0] == {"KEY": "$OURS", "TZ": "***"}


def test_the_variables_of_a_server_in_one_variable(file: Path) -> None:
    loaded = load(file, '[mcp.servers.t]\ncommand = "x"\n', AGENTGW_MCP__SERVERS__T__ENV='{ A = "b" }')
    assert loaded.settings.mcp.servers["t"].env == {"A": "b"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[inference]\nslot = 1", "unknown key inference.slot; did you mean inference.slots?"),
        ("[inferense]\nslots = 1", "unknown key inferense; did you mean inference?"),
        ("slots = 1", "unknown key slots; did you mean inference.slots?"),
        ("[webs]\nenabled = true", "unknown key webs"),
        ("default = 'x'", "unknown key default"),
        (
            "[providers.v]\nbase_url = 'http://x'\nurl = 'y'",
            "unknown key providers.v.url; did you mean providers.v.base_url?",
        ),
        ("[providers.v]\nmodels = []", "providers.v.base_url missing"),
        ("[providers]\nv = 3", "providers.v must be a section"),
        ("[providers.'a b']\nbase_url = 'http://x'", "a provider's name has letters"),
        ("mcp = 3", "mcp must be a section"),
        ("[mcp]\nserver = 1", "unknown key mcp.server; did you mean mcp.servers?"),
        ("[mcp]\nservers = 3", "mcp.servers must be a section"),
        ("[mcp.servers]\nt = 3", "mcp.servers.t must be a section, [mcp.servers.NAME]"),
        ("[mcp.servers.'a b']\ncommand = 'x'", "a server's name has letters"),
        ("[mcp.servers.a__b]\ncommand = 'x'", "mcp.servers.a__b: a server's name has no '__'"),
        ("[mcp.servers.'a-.b']\ncommand = 'x'", "a server's name has no '__'"),
        ("[mcp.servers.a_]\ncommand = 'x'", "mcp.servers.a_: a server's name"),
        (
            "[mcp.servers.a-b]\ncommand = 'x'\n[mcp.servers.A_b]\ncommand = 'x'",
            "mcp.servers.A_b: its tools would have the same names as those of mcp.servers.a-b",
        ),
        ("[mcp.servers.t]\ncomand = 'x'", "unknown key mcp.servers.t.comand; did you mean mcp.servers.t.command?"),
        ("[mcp.servers.t]\nargs = []", "mcp.servers.t.command or url is needed"),
        ("[mcp.servers.t]\ncommand = 'x'\nurl = 'http://x'", "mcp.servers.t.url and command exclude each other"),
        ("[mcp.servers.t]\nurl = 'http://u:hunter2@x/'", "mcp.servers.t.url must be an http:// or https://"),
        ("[mcp.servers.t]\ncommand = 'x'\nenv = {A = 1}", "mcp.servers.t.env.A must be a string"),
        ("[mcp.servers.t]\ncommand = 'x'\ntimeout_s = 0", "mcp.servers.t.timeout_s must be at least 0.1"),
        ("inference = 3", "inference must be a section"),
        ("[inference]\nslots = '1'", "inference.slots must be an integer"),
        ("[inference]\nslots = true", "inference.slots must be an integer"),
        ("[inference]\nslots = 0", "inference.slots must be at least 1"),
        ("[limits]\nframe_timeout_s = nan", "limits.frame_timeout_s must be a finite number"),
        ("[limits]\nshutdown_s = inf", "limits.shutdown_s must be a finite number"),
        ("[limits]\ndepth = 100000", "limits.depth must be at most 256"),
        ("[log]\nlevel = 'loud'", "log.level must be one of debug, info, warning, error"),
        ("[model]\ndefault = 2020-01-01", "model.default must be a string"),
        ("[model]\nhub = 'ftp://x'", "model.hub must be an http:// or https:// address"),
        ("[providers.v]\nbase_url = 'http://user:hunter2@x/v1'", "providers.v.base_url must be an http:// or https://"),
        (
            "[providers.v]\nbase_url = 'http://x'\napi_key_env = 'sk-hunter2'",
            "must be the name of an environment variable",
        ),
        ("[providers.v]\nbase_url = 'http://x'\nmodels = [1]", "providers.v.models[0] must be a string"),
        ("[model]\ndefault = 1\n\ndefault = 2\n", "line 4"),
        ("[model\n", "line 1"),
        ("x = " + "[" * 2000, "nested too deeply"),
        ('"a\\nb\\u001b" = 1', "unknown key a?b?"),
    ],
)
def test_what_the_file_may_not_say(file: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigRefused) as caught:
        load(file, text)
    assert caught.value.exit_status == 78
    assert said in caught.value.message
    assert re.match(rf"{re.escape(str(file))}(:\d+)?: ", caught.value.message)
    assert caught.value.message.isprintable()
    assert "hunter2" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("# mine\n\n[inference]\n# slot\nslot = 1\n", 5, "unknown key inference.slot;"),
        ("[model]\n\n[Inference]\nslots = 1", 3, "unknown key Inference; did you mean inference?"),
        ("[inference]\nslots = 2\n[inference.slot]\na = 1\n", 3, "unknown key inference.slot;"),
        ("[log]\r\nlevel = 'info'\r\nlevle = 'info'\r\n", 3, "unknown key log.levle; did you mean log.level?"),
        ("log.level = 'info'\nlog.levle = 'info'\n", 2, "unknown key log.levle"),
        ("log = {level = 'info', levle = 'info'}", 1, "unknown key log.levle"),
        ("[log]\n'le\u2028vle' = 1\n", 2, "unknown key log.le?vle"),
        ("[tools]\nallow = [\n  'a',\n  # alow = 1\n]\nalow = [\n  'b',\n]\n[log]\n", 6, "unknown key tools.alow"),
        ("[agent]\n\nmax_iterations = 'ten'\n[log]\n", 3, "agent.max_iterations must be an integer"),
        ("[tools]\nallow = [\n  'a',\n  1,\n]\n[log]\n", 2, "tools.allow[1] must be a string"),
        ("[log]\n\n[providers.v]\nmodels = []\n", 3, "providers.v.base_url missing"),
        ("[mcp.servers.a]\ncommand = 'x'\n\n[mcp.servers.A]\ncommand = 'x'", 4, "mcp.servers.A: its tools"),
        ("[log]\n[limits]\nshutdown_s = nan\n", 3, "limits.shutdown_s must be a finite number"),
        ("[log]\n" + "\n" * 1500 + "levle = 1\n", 1502, "unknown key log.levle"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_line(file: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigRefused) as caught:
        load(file, text)
    assert caught.value.message.startswith(f"{file}:{line}: {said}")


@pytest.mark.parametrize(
    "text", ["\n" * 5000 + "[logg]\n", "[tools]\nallow = [\n" + "  'a',\n" * 1000 + "]\nalow = 1\n"]
)
def test_a_line_that_would_be_looked_for_for_long_is_left_out(file: Path, text: str) -> None:
    with pytest.raises(ConfigRefused) as caught:
        load(file, text)
    assert caught.value.message.startswith(f"{file}: unknown key")


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("AGENTGW_INFERENCE__SLOT", "1", "unknown key inference.slot; did you mean AGENTGW_INFERENCE__SLOTS?"),
        ("AGENTGW_WEBS__ENABLED", "1", "unknown key webs.enabled"),
        ("AGENTGW_PROVIDERS__V", "1", "unknown key providers.v"),
        ("AGENTGW_PROVIDERS__V__URL", "1", "did you mean AGENTGW_PROVIDERS__V__BASE_URL?"),
        ("AGENTGW_INFERENCE__SLOTS", "many", "must be an integer"),
        ("AGENTGW_INFERENCE__SLOTS", "1.5", "inference.slots must be an integer"),
        ("AGENTGW_INFERENCE__SLOTS", "1\nx = 2", "must be an integer"),
        ("AGENTGW_INFERENCE__SLOTS", "", "must be an integer"),
        ("AGENTGW_LIMITS__SHUTDOWN_S", "0,5", "must be a number"),
        ("AGENTGW_SCHEDULER__ENABLED", "maybe", "must be true or false"),
        ("AGENTGW_TOOLS__ALLOW", "[a", "must be a list: words with commas between"),
        ("AGENTGW_MCP__SERVERS__V__ENV", "A=1", "must be a table"),
        ("AGENTGW_LIMITS__SHUTDOWN_S", "nan", "must be a finite number"),
        ("AGENTGW_PROVIDERS__V__API_KEY_ENV", "V", "providers.v.base_url missing"),
    ],
)
def test_what_a_variable_may_not_say(file: Path, variable: str, text: str, said: str) -> None:
    with pytest.raises(ConfigRefused) as caught:
        load(file, **{variable: text})
    assert caught.value.message.startswith(f"{variable}: ")
    assert said in caught.value.message
    assert caught.value.hint == "correct or unset it"


def test_a_key_pasted_into_a_variable_is_not_repeated(file: Path) -> None:
    with pytest.raises(ConfigRefused) as caught:
        load(file, AGENTGW_PROVIDERS__V__BASE_URL="http://x", AGENTGW_PROVIDERS__V__API_KEY_ENV="sk-hunter2")
    assert "hunter2" not in caught.value.message


def test_a_file_that_is_none_is_refused(file: Path, tmp_path: Path) -> None:
    def said() -> str:
        with pytest.raises(ConfigRefused) as caught:
            load(file)
        file.unlink()
        return caught.value.message

    os.mkfifo(file)
    assert "not a regular file" in said()
    file.write_bytes(b"# \n\xff\xfe")
    assert "not UTF-8 (at line 2)" in said()
    file.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert "larger than" in said()
    file.symlink_to(file)
    assert "cannot be read" in said()
    file.mkdir()
    with pytest.raises(ConfigRefused, match="not a regular file"):
        load(file)


def test_a_byte_order_mark_is_no_error(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[inference]\r\nslots = 2\r\n")
    assert load(file).settings.inference.slots == 2


def test_changed_names_the_keys_and_those_that_wait_for_a_restart(file: Path) -> None:
    before = load(file, "[log]\nlevel = 'info'\n[providers.old]\nbase_url = 'http://x'\n")
    after = load(file, "[log]\nlevel = 'debug'\n[limits]\nconnections = 9\n[providers.new]\nbase_url = 'http://x'\n")
    changed, restart = config.changed(before, after)
    assert "log.level" in changed
    assert "providers.old.base_url" in changed
    assert "providers.new.base_url" in changed
    assert restart == ("limits.connections",)
    assert config.changed(after, after) == ((), ())


def test_anything_that_smells_of_a_secret_would_be_starred() -> None:
    assert [config._is_secret(name) for name in ("api_key", "webhook_secret", "auth_token", "password")] == [True] * 4
    assert not config._is_secret("api_key_env")


def test_a_number_of_tokens_is_no_secret(tmp_path: Path) -> None:
    shown = {one.key: one.value for one in config.load(str(tmp_path / "none"), {}).origins}
    assert [key for key, value in shown.items() if value == "***"] == []
    assert (shown["inference.batch_tokens"], shown["rag.prompt_tokens"]) == (0, 1000)


def test_every_setting_says_what_it_is_about(tmp_path: Path) -> None:
    found = config.load(str(tmp_path / "none"), {}).origins
    assert {one.key for one in found if not one.about} <= {"log.level"}


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("agent.max_iterations", ("agent", "max_iterations")),
        ("providers.my.own.base_url", ("providers", "my.own", "base_url")),
        ("mcp.servers.a.command", ("mcp", "servers", "a", "command")),
    ],
)
def test_a_key_is_written_with_dots(key: str, path: tuple[str, ...]) -> None:
    assert config.setting_called(key) == path


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("agent.max_iteration", "did you mean agent.max_iterations?"),
        ("max_iterations", "did you mean agent.max_iterations?"),
        ("agnet", "did you mean agent?"),
        ("providers.x.api_key", "did you mean providers.x.api_key_env?"),
        ("mcp.servers.my.own.comand", "did you mean mcp.servers.my.own.command?"),
        ("providers.x.nosuch", ""), ("providers.x", ""), ("agent", "it is a section"),
        ("agent.", ""), ("", "lists all"), (".", ""), ("a" * 10_000, "lists all"),
        ("mcp.servers.x", ""),
    ],
)  # fmt: skip
def test_a_key_that_does_not_exist_is_told_with_the_nearest(key: str, hint: str) -> None:
    with pytest.raises(NotFound) as caught:
        config.setting_called(key)
    assert hint in caught.value.hint
