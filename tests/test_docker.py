"""The container files as a linter without an engine reads them: nobody's secrets, nobody's root, no open port."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from typing import Any

import pytest
from ruamel.yaml import YAML

from agentgw.cli import main as cli
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from tests.root import ROOT

FOLDER = ROOT / "docs" / "docker"
SECRET = re.compile(r"(?i)(key|token|secret|password)\w*\s*[=:]")


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments, continuation lines joined, comments left out."""
    text = re.sub(r"(?m)^#.*\n", "", (FOLDER / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def values(name: str) -> list[str]:
    return [value for one, value in instructions() if one == name]


def last_stage() -> list[tuple[str, str]]:
    made = instructions()
    return made[max(at for at, (name, _) in enumerate(made) if name == "FROM") :]


@pytest.fixture
def service() -> dict[str, Any]:
    compose = YAML(typ="safe").load(FOLDER / "compose.yaml")
    assert list(compose["services"]) == ["agentgw"]
    assert set(compose["volumes"]) == {"data"}
    found: dict[str, Any] = compose["services"]["agentgw"]
    return found


def test_it_begins_with_images_of_a_named_release() -> None:
    assert {image.split()[0] for image in values("FROM")} == {"python:3.11-slim-bookworm"}


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignore = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    for copied in values("COPY"):
        *sources, _ = copied.split()
        if sources[0].startswith("--from="):
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignore


def test_what_the_build_of_the_wheel_needs_is_copied() -> None:
    copied = {word for value in values("COPY") for word in value.split()}
    wanted = re.search(r"force-include\]\n((?:.+\n)+)", (ROOT / "pyproject.toml").read_text())
    assert wanted is not None
    assert set(re.findall(r'^"?([\w-]+)"? = ', wanted[1], re.MULTILINE)) <= copied


def test_nothing_is_compiled_for_the_processor_of_the_build_alone() -> None:
    compiling = next(at for at, (name, value) in enumerate(instructions()) if name == "RUN" and "pip install" in value)
    set_before = " ".join(value for name, value in instructions()[:compiling] if name == "ENV")
    assert "-DGGML_NATIVE=OFF" in set_before
    assert "HNSWLIB_NO_NATIVE=1" in set_before


def test_packages_of_the_system_are_few_and_leave_no_lists() -> None:
    for run in values("RUN"):
        if "apt-get install" in run:
            assert "--no-install-recommends" in run
            assert "rm -rf /var/lib/apt/lists/*" in run


def test_it_runs_as_a_user_of_its_own_that_is_not_root() -> None:
    users = [value for name, value in last_stage() if name == "USER"]
    assert users == ["10001:10001"]
    assert "--uid 10001" in " ".join(value for name, value in last_stage() if name == "RUN")


def test_the_command_is_one_that_the_program_takes() -> None:
    entry, command = json.loads(values("ENTRYPOINT")[0]), json.loads(values("CMD")[0])
    assert entry == ["agentgw"]
    verb, *words = command
    parser = argparse.ArgumentParser()
    cli.load(verb).configure(parser)
    args = parser.parse_args(words)
    assert (args.host, args.port) == ("0.0.0.0", int(values("EXPOSE")[0]))
    health = json.loads(values("HEALTHCHECK")[0].partition("CMD ")[2])
    assert health[0] == "agentgw"
    assert health[1] in cli.VERBS


def test_the_commands_of_the_page_are_those_that_the_program_takes() -> None:
    page = (ROOT / "docs" / "docker.md").read_text()
    typed = re.findall(r"exec (?:-T )?agentgw agentgw ([^`\n]+)`?", page)
    assert len(typed) > 3
    for line in typed:
        verb, *words = shlex.split(re.sub(r"` .*", "", line))
        parser = argparse.ArgumentParser(exit_on_error=False)
        cli.load(verb).configure(parser)
        parser.parse_args(words)


def test_all_that_is_kept_is_in_the_volume() -> None:
    (volume,) = values("VOLUME")
    environment = dict(
        word.split("=", 1) for value in values("ENV") for word in re.findall(r'\w+=(?:"[^"]*"|\S+)', value)
    )
    assert environment["AGENTGW_HOME"] == volume
    paths = Paths(Environment({"AGENTGW_HOME": environment["AGENTGW_HOME"]}))
    assert paths.http_key_file == "/data/state/http.key"
    assert paths.http_key_file in (ROOT / "docs" / "docker.md").read_text()


def test_no_secret_is_in_an_image_or_the_compose_file() -> None:
    for name, value in instructions():
        if name in ("ENV", "ARG"):
            assert not SECRET.search(value), value
    text = (FOLDER / "compose.yaml").read_text()
    assert not SECRET.search(re.sub(r"#.*", "", text))
    assert "environment" not in text


def test_the_port_is_this_machines_alone_and_the_same_on_both_sides(service: dict[str, Any]) -> None:
    for mapping in service["ports"]:
        address, outside, inside = mapping.split(":")
        assert address == "127.0.0.1"
        assert outside == inside == values("EXPOSE")[0]


def test_the_container_may_do_little(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "network_mode", "pid", "cap_add", "devices"} & set(service)
    assert service["volumes"] == [f"data:{values('VOLUME')[0]}"]
    context = (FOLDER / service["build"]["context"]).resolve()
    assert context == ROOT
    assert (context / service["build"]["dockerfile"]).is_file()
