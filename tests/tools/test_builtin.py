"""All built-in tools together: what holds for each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import agentgw_daemon
from agentgw_daemon.tools.builtin import BUILTIN
from agentgw_daemon.tools.tool import RunnableTool

EACH = pytest.mark.parametrize("tool", BUILTIN, ids=lambda tool: tool.spec.name)


def test_names_are_unique() -> None:
    assert len({tool.spec.name for tool in BUILTIN}) == len(BUILTIN) == 10


@EACH
def test_a_spec_is_well_formed(tool: RunnableTool) -> None:
    assert re.fullmatch(r"[a-z0-9_]{1,64}", tool.spec.name)
    Draft202012Validator.check_schema(tool.spec.parameters)
    assert tool.spec.parameters["additionalProperties"] is False
    assert set(tool.spec.paths) <= set(tool.spec.parameters["properties"])


@EACH
def test_a_description_costs_little_prefill(tool: RunnableTool) -> None:
    assert len(tool.spec.description) <= 100
    assert len(json.dumps(tool.spec.parameters)) <= 420


def test_what_carries_data_out_is_marked() -> None:
    assert {tool.spec.name for tool in BUILTIN if tool.spec.outbound} == {"run_command", "fetch_url"}


def test_what_brings_a_strangers_text_is_marked() -> None:
    ours = {tool.spec.name for tool in BUILTIN if not tool.spec.untrusted}
    assert ours == {"write_file", "edit_file", "current_time", "delegate_to_agent"}


def test_having_the_tools_does_not_import_httpx() -> None:
    code = "import sys, agentgw_daemon.tools.builtin; sys.exit('httpx' in sys.modules or 'httpcore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("module", ["search_child", "query_child"])
def test_a_child_imports_the_standard_library_only(module: str) -> None:
    # Without site-packages, and with our own package found where it lies.
    ours = str(Path(agentgw_daemon.__path__[0]).parent)
    code = (
        f"import sys; sys.path.append({ours!r}); import agentgw_daemon.tools.processes.{module}\n"
        "ours = ('agentgw_daemon', '__main__')\n"
        "tops = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names) - set(ours)\n"
        "print(sorted(top for top in tops if not top.startswith('_')))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
