from __future__ import annotations

from agentgw_daemon.config.settings import McpSection, McpServerSection, ProviderSection, Settings, secrets_of


def test_the_keys_of_providers_and_servers_are_secret() -> None:
    providers = {
        "a": ProviderSection(base_url="http://x", api_key_env="A_KEY"),
        "b": ProviderSection(base_url="http://x", api_key_env="B_KEY"),
        "c": ProviderSection(base_url="http://x/v1?key=eleven&version=1"),
    }
    servers = {
        "s": McpServerSection(
            command="x",
            args=("--token", "eight", "db://u:nine@h"),
            env={"ANY": "$S_KEY", "ZONE": "UTC", "GITHUB_TOKEN": "five", "DATABASE": "db://u:ten@h"},
        ),
        "t": McpServerSection(url="http://x/mcp?apikey=six&format=json"),
    }
    environ = {"A_KEY": "one", "OTHER": "two", "AGENTGW_API_KEY": "three", "S_KEY": "four", "HF_TOKEN": " seven\n"}
    settings = Settings(providers=providers, mcp=McpSection(servers=servers))
    assert secrets_of(settings, environ) == {
        "one", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    }  # fmt: skip
