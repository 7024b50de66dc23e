"""Checks of what answers: database, llama.cpp, the default model, memory for it, skills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Final

import trio

from agentgw.protocol.errors import ModelUnavailable, RpcError
from agentgw.protocol.types import Model
from agentgw_daemon.doctor.context import DoctorContext, Verdict, error, fine, info, warning
from agentgw_daemon.doctor.torch import is_torch_installed
from agentgw_daemon.models.names.shards import files_of
from agentgw_daemon.skills.routing import AUTO, FALLBACK
from agentgw_daemon.system import memory
from agentgw_daemon.system.child_environment import worker_environment

# Weights, KV cache and compute buffers, against the size of the file.
_MEMORY_FACTOR: Final = 1.2
_REINSTALL: Final = "python -m pip install --force-reinstall --no-cache-dir llama-cpp-python, in agentgw's environment"


async def check_database(context: DoctorContext) -> Iterable[Verdict]:
    """SQLite's quick check, by the daemon's own connection; and whether the file stayed where it is."""
    try:
        problems = tuple(await context.check_database())
    except RpcError as failure:
        return (error(failure.message, failure.hint or "agentgw logs has more"),)
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        return (error(f"quick check: {problems[0]}{more}", "agentgw restart restores the newest sound backup"),)
    removed = tuple(context.written_back())
    if removed:
        last = removed[-1]
        again = f", the last of {len(removed)} times" if len(removed) > 1 else ""
        said = f"{last.what} was removed at {last.at} while agentgw used it{again}; it was written back"
        return (warning(said, f"find out what removes files in {context.started.paths.data_dir}; stop agentgw first"),)
    return (fine(f"sound, {context.db_bytes() / (1 << 20):.1f} MiB"),)


async def check_engine(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that llama.cpp can be imported: in a child, because a crash in it must not be ours."""
    program = "import llama_cpp; print(llama_cpp.__version__)"
    done = await _run_python(context, "-c", program)
    if done.returncode == 0:
        return (fine(f"llama-cpp-python {done.stdout.decode(errors='replace').strip()[-40:]}"),)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    reason = said[-1][:200] if said else f"the import ended with status {done.returncode}"
    return (error(f"llama-cpp-python cannot be used: {reason}", _REINSTALL),)


async def check_default_model(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that there is a model for a turn that names none, and that its file is a usable GGUF."""
    model = _default(context)
    wanted = context.config.settings.model.default
    if model is None and wanted is None:
        return (warning("there is no model yet", "agentgw pull smollm2:135m"),)
    if model is None or model.state == "not_pulled":
        name = wanted or (model.name if model is not None else "")
        return (error(f"the default model {name} is not there", f"agentgw pull {name}"),)
    if model.path is None:
        return (fine(f"{model.name} ({model.source})"),)
    done = await _run_python(context, "-m", "agentgw_daemon.workers.llama.gguf", *files_of(model.path))
    if done.returncode == 0:
        return (fine(f"{model.name}, {model.path}"),)
    return (error(f"{model.path} {_reason(done.stdout)}", f"agentgw models remove {model.name}, then pull it again"),)


async def check_embedder(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that documents can be searched by what they mean: there is an embedder, and workers can use it."""
    try:
        embedder = await context.embedder()
    except ModelUnavailable as failure:
        if suggestion := failure.data.get("suggestion"):
            return (info(f"{failure.message}: documents cannot be ingested yet", f"agentgw pull {suggestion}"),)
        return (error(failure.message, failure.hint or "agentgw config edit"),)
    about = f"{embedder.name}, {embedder.dim} dimensions"
    if not embedder.gguf and not is_torch_installed():
        missing = f"{about}; it has no GGUF conversion, and torch, which could run it, is not installed"
        return (error(missing, "install sentence-transformers beside agentgw, or set rag.embedder to a .gguf file"),)
    if not embedder.gguf:
        return (warning(f"{about}; without a GGUF conversion the first search takes 10 s", "see agentgw logs"),)
    return (fine(about),)


async def check_memory(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that the default model fits in the free memory."""
    available = _available_bytes()
    model = _default(context)
    size = _size(model)
    text = f"{available / (1 << 30):.1f} GiB available"
    if model is None or size is None or model.state == "loaded":
        return (fine(text),)
    if size * _MEMORY_FACTOR > available:
        return (
            warning(f"{text}, {model.name} needs about {size * _MEMORY_FACTOR / (1 << 30):.1f}", "use a smaller model"),
        )
    return (fine(f"{text}, enough for {model.name}"),)


def check_skills(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that every skill can be read."""
    skills = tuple(context.skills())
    broken = tuple(
        warning(f"{skill.name}: {skill.error}", f"agentgw skills validate {skill.path}")
        for skill in skills
        if skill.error is not None
    )
    default = context.config.settings.agent.default_skill.replace("_", "-").lower()
    if default == AUTO:
        default = FALLBACK
    if default not in {skill.name for skill in skills if skill.error is None}:
        return (*broken, error(f"the default skill {default} is not there", "set agent.default_skill"))
    return broken or (fine(f"{len(skills)} skills"),)


async def _run_python(context: DoctorContext, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = worker_environment(context.started.environ, context.started.instance)
    # -P: whatever lies in the working directory is not what workers would import.
    command = (sys.executable, "-P", *arguments)
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False, env=environment)


def _reason(output: bytes) -> str:
    try:
        return str(json.loads(output)["reason"])[:200]
    except (ValueError, LookupError, TypeError):
        return "cannot be read as a GGUF file"


def _default(context: DoctorContext) -> Model | None:
    return next((model for model in context.models() if model.default), None)


def _size(model: Model | None) -> int | None:
    if model is None or model.path is None:
        return None
    if model.size_bytes is not None:
        return model.size_bytes
    try:
        return os.stat(model.path).st_size
    except OSError:
        return None


def _available_bytes() -> int:
    available = memory.available_bytes()
    # Elsewhere: what the machine has is the best there is.
    return available if available is not None else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
