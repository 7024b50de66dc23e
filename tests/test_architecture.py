"""The rules of docs/architecture.md that import-linter cannot say."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.root import ROOT

PACKAGES = {
    "agentgw": ROOT / "agentgw",
    "agentgw_daemon": ROOT / "daemon" / "agentgw_daemon",
    "agentgw_shell": ROOT / "shell" / "agentgw_shell",
}
MODULES = {
    ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__"): path
    for package, folder in PACKAGES.items()
    for path in sorted(folder.rglob("*.py"))
}
CONTRACT_MODULES = [name for name in MODULES if name.partition(".")[0] == "agentgw"]

# Each worker program with what it may import beside the standard library; `agentgw` for its version.
WORKER_ENTRY = "agentgw_daemon.workers.model.worker"
WORKER_MAY_IMPORT = {"llama_cpp", "numpy", "jinja2", "agentgw"}
RETRIEVAL_ENTRY = "agentgw_daemon.workers.retrieval.worker"
EMBEDDER_INFO_ENTRY = "agentgw_daemon.workers.retrieval.embedding.embedder_info"
RETRIEVAL_MAY_IMPORT = {"llama_cpp", "hnswlib", "numpy", "tokenizers", "agentgw"}
# The one module of that worker that brings torch, imported where nothing lighter will do.
TORCH_MODULE = "agentgw_daemon.workers.retrieval.embedding.torch_encoder"
TORCH = {"torch", "sentence_transformers", "transformers"}
# Modules that read documents in that worker: parsers and the wire, no engine.
READING_ENTRY = "agentgw_daemon.workers.retrieval.reading.reader"
READING_PACKAGE = "agentgw_daemon.workers.retrieval.reading."
READING_MAY_IMPORT = {"pypdfium2", "lxml", "markdown_it", "chardet", "webencodings"}
READING_BORROWS = {
    "agentgw.protocol.records.frozen",
    "agentgw_daemon.workers.protocol.retrieval",
    "agentgw_daemon.workers.protocol.codec",
    "agentgw_daemon.workers.protocol.lines",
    "agentgw_daemon.system.beneath",
}
# These cost a third of a second to many seconds, and hundreds of megabytes: worker processes only.
HEAVY = {"llama_cpp", "torch", "numpy", "hnswlib", "sentence_transformers"}
# The environment is read here and passed down from here.
READS_ENVIRONMENT = {
    "agentgw.local.environment",
    "agentgw_daemon.config.load",
}
MAY_TOUCH_ENVIRONMENT = {
    "agentgw_daemon.main": "takes LISTEN_* before anything else looks, and hands the rest down",
    "agentgw_daemon.workers.llama.llama": "sets a switch of the engine before it is loaded",
    TORCH_MODULE: "keeps the library from the network before it is imported",
}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
IMPORTING_PACKAGES = {
    "agentgw.cli.commands": "what the verbs share",
    "agentgw_daemon.server.handlers": "the table of all its modules",
}
MOST_LINES = 400
# Modules beside the packages of a package: what all of it passes. The rest belongs to one of them.
MOST_LOOSE = 6
# A docstring that begins so describes its thing without a name for it.
RIDDLES = {"What", "Whether", "How", "Those", "Who", "Whose", "So", "Which", "Where", "Why", "Whatever", "Whoever"}
# Of a type given a name by assignment: capital first, and not capitals only, as constants have them.
TYPE_NAME = re.compile(r"[A-Z]\w*[a-z]\w*")
TYPE_PARAMETERS = {"TypeVar", "TypeVarTuple", "ParamSpec"}


@functools.cache
def imports(name: str) -> tuple[tuple[str, bool], ...]:
    """Dotted names that a module imports, and whether at module level. What only type checkers see is left out."""
    return tuple(_imports(name))


def _imports(name: str, *, types: bool = False) -> Iterator[tuple[str, bool]]:
    for node, nested in _statements(ast.parse(MODULES[name].read_text(), MODULES[name]).body, False, types=types):
        if isinstance(node, ast.Import):
            yield from ((alias.name, not nested) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield (full if full in MODULES else str(node.module)), not nested


def _statements(body: Iterable[ast.AST], nested: bool, *, types: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Statements of a body and of those in them, and whether in a function. Expressions hold none.

    `types`: also those that only type checkers see.
    """
    for child in body:
        if isinstance(child, ast.expr) or (not types and _is_for_type_checkers(child)):
            continue
        yield child, nested
        within = nested or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _statements(ast.iter_child_nodes(child), within, types=types)


def _is_for_type_checkers(statement: ast.AST) -> bool:
    return isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)


def reached(entry: str) -> set[str]:
    """Our modules that a process started with `entry` may import, itself included; a package's own file aside."""
    seen, waiting = set(), {entry}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= {imported for imported, _ in imports(name) if imported in MODULES} - seen
    return seen


WORKER = reached(WORKER_ENTRY)
RETRIEVAL = reached(RETRIEVAL_ENTRY) | reached(EMBEDDER_INFO_ENTRY)
READING = reached(READING_ENTRY)


def test_the_worker_is_found_with_its_engine() -> None:
    assert {
        f"agentgw_daemon.workers.{name}" for name in ("protocol.model", "llama.llama", "model.generation")
    } <= WORKER


@pytest.mark.parametrize("name", sorted(WORKER))
def test_a_worker_module_imports_the_standard_library_its_engine_and_the_wire(name: str) -> None:
    assert_imports_only(name, WORKER_MAY_IMPORT, WORKER)


def assert_imports_only(name: str, packages: set[str], modules: set[str]) -> None:
    for imported, _ in imports(name):
        top = imported.partition(".")[0]
        allowed = top in sys.stdlib_module_names or top in packages or imported in modules
        assert allowed, f"{name} imports {imported}"


@pytest.mark.parametrize("name", sorted(RETRIEVAL))
def test_a_retrieval_worker_imports_the_standard_library_and_its_engines(name: str) -> None:
    more = READING_MAY_IMPORT if name in READING else TORCH if name == TORCH_MODULE else set()
    assert_imports_only(name, RETRIEVAL_MAY_IMPORT | more, RETRIEVAL)
    assert (TORCH_MODULE, True) not in set(imports(name)), f"{name} brings torch whether it is needed or not"


@pytest.mark.parametrize("name", sorted(READING))
def test_what_reads_documents_imports_parsers_and_no_engine(name: str) -> None:
    assert name.startswith(READING_PACKAGE) or name in READING_BORROWS, f"{name} reads documents"
    assert_imports_only(name, READING_MAY_IMPORT, READING)


# Answers of a model, which the user's own terminal or browser shows: their size is bounded by the piece that is parsed.
READS_ANSWERS = {
    "agentgw_shell.rendering.inline": {"markdown_it"},
    "agentgw_daemon.gateway.pages.chat.markdown": {"markdown_it"},
}


@pytest.mark.parametrize("name", sorted(MODULES.keys() - RETRIEVAL))
def test_no_other_process_parses_documents(name: str) -> None:
    for imported, _ in imports(name):
        assert imported.partition(".")[0] not in READING_MAY_IMPORT - READS_ANSWERS.get(name, set())


def test_the_process_of_the_users_own_tools_imports_little() -> None:
    assert reached("agentgw_daemon.tools.user.toolhost") == {"agentgw_daemon.tools.user.toolhost", "agentgw.tool"}
    for name in ("agentgw_daemon.tools.user.toolhost", "agentgw.tool"):
        assert all(found.partition(".")[0] in {*sys.stdlib_module_names, "agentgw"} for found, _ in imports(name))


@pytest.mark.parametrize("name", sorted(MODULES.keys() - WORKER - RETRIEVAL))
def test_no_other_process_imports_an_engine(name: str) -> None:
    for imported, _ in imports(name):
        assert imported.partition(".")[0] not in HEAVY


def test_a_daemon_without_http_loads_nothing_of_the_gateway() -> None:
    gateway = {name for name in MODULES if name.startswith("agentgw_daemon.gateway")}
    at_start = {imported for name in MODULES.keys() - gateway for imported, at_top in imports(name) if at_top}
    assert {"agentgw_daemon.gateway.serving", "agentgw_daemon.gateway.doors"} <= gateway
    assert not at_start & gateway
    assert "h11" not in at_start


def test_modules_import_each_other_in_no_circle_not_even_for_their_types() -> None:
    known = {name: {found for found, _ in _imports(name, types=True)} & MODULES.keys() - {name} for name in MODULES}
    # Raises CycleError, which names the modules of a circle in their order.
    graphlib.TopologicalSorter(known).prepare()


def test_packages_of_the_daemon_beside_each_other_know_each_other_in_no_circle() -> None:
    known: dict[str, set[str]] = {}
    daemon = {name for name in MODULES if name.partition(".")[0] == "agentgw_daemon"}
    for name in daemon:
        for found in {found for found, _ in _imports(name, types=True)} & daemon:
            ours, theirs = name.split("."), found.split(".")
            depth = next((at for at, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), None)
            if depth is not None:
                known.setdefault(".".join(ours[: depth + 1]), set()).add(".".join(theirs[: depth + 1]))
    graphlib.TopologicalSorter(known).prepare()


# The nursery of one worker or server, which ends with that one.
OF_ONE_PROCESS = {
    "agentgw_daemon.workers.supervision.child",
    "agentgw_daemon.inference.hosting.supervisor",
    "agentgw_daemon.retrieval.process",
    "agentgw_daemon.tools.mcp.mcp_stdio",
}


def test_what_is_started_in_a_nursery_of_the_daemons_lifetime_is_supervised() -> None:
    started = {
        (name, ast.unparse(node.args[0]))
        for name in sorted(MODULES.keys() - OF_ONE_PROCESS)
        if "start_soon" in (text := MODULES[name].read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("self._nursery.start_soon", "outer.start_soon")
    }
    assert {what for name, what in started} == {"supervised"}, started


def test_no_public_type_name_stands_for_two_things() -> None:
    places: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for word in _type_names(ast.parse(path.read_text()).body):
            places.setdefault(word, []).append(name)
    assert {word: names for word, names in places.items() if len(names) > 1} == {}


def _type_names(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Public names of classes and of other types in a module's body; those of a type's parameters aside."""
    for node in body:
        match node:
            case ast.ClassDef(name=word) if not word.startswith("_"):
                yield word
            case (
                ast.Assign(targets=[ast.Name(id=word)], value=value)
                | ast.AnnAssign(target=ast.Name(id=word), value=ast.expr() as value)
            ) if TYPE_NAME.fullmatch(word) and not _is_type_parameter(value):
                yield word


def _is_type_parameter(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in TYPE_PARAMETERS


@pytest.mark.parametrize("name", MODULES)
def test_a_name_is_imported_from_where_it_stands(name: str) -> None:
    """mypy refuses what a module imported for itself; so it is enough that none says that it passes a name on."""
    ours = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert [alias.name for alias in node.names if alias.name == alias.asname] == []
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in PACKAGES:
                ours |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            # A library may be passed on by the module that says how it is loaded.
            assert not ours & set(ast.literal_eval(node.value))


def test_the_wall_around_child_processes_has_no_gap() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts = {contract["name"]: contract for contract in settings["contracts"]}
    daemon = _within("agentgw_daemon") - {"agentgw_daemon.workers"} | _within("agentgw_daemon.workers")
    children = {f"agentgw_daemon.workers.{name}" for name in ("model", "retrieval", "llama", "runtime")}
    wall = contracts["the daemon imports no code of its child processes"]
    assert set(wall["source_modules"]) == daemon - children
    assert set(wall["forbidden_modules"]) == children | HEAVY
    both = {"agentgw_daemon.workers.protocol"}
    wall = contracts["child processes import nothing of the daemon"]
    assert set(wall["source_modules"]) == children | both
    forbidden = daemon - children - both - {"agentgw_daemon.system"} | _within("agentgw") - {"agentgw.protocol"}
    assert set(wall["forbidden_modules"]) >= forbidden


def _within(package: str) -> set[str]:
    """The modules and packages that stand in a package."""
    return {name for name in MODULES if name.rpartition(".")[0] == package}


def test_a_package_is_a_name_and_imports_nothing() -> None:
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert {name for name in packages if imports(name)} == IMPORTING_PACKAGES.keys()


def test_no_test_imports_what_stands_in_another_test() -> None:
    importing = re.compile(r"^ *from tests\.(?:\w+\.)*test_\w+ import|^ *from tests\S* import .*\btest_", re.MULTILINE)
    tests = (ROOT / "tests").rglob("*.py")
    assert [str(path) for path in tests if importing.search(path.read_text())] == []


@pytest.mark.parametrize("folder", [*PACKAGES.values(), ROOT / "tests"], ids=lambda folder: folder.name)
def test_a_docstring_names_the_thing_first(folder: Path) -> None:
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    trees = (ast.parse(path.read_text()) for path in folder.rglob("*.py"))
    nodes = (node for tree in trees for node, _ in _statements([tree], False))
    texts = [ast.get_docstring(node, clean=False) for node in nodes if isinstance(node, described)]
    assert [text for text in texts if text and text.split()[0] in RIDDLES] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_fits_a_head(name: str) -> None:
    assert len(MODULES[name].read_text().splitlines()) <= MOST_LINES


FLOORS = sorted({name.rpartition(".")[0] for name, path in MODULES.items() if path.name == "__init__.py"} - {""})


@pytest.mark.parametrize("package", FLOORS)
def test_few_modules_lie_loose_beside_packages(package: str) -> None:
    within = {name: path for name, path in MODULES.items() if name.rpartition(".")[0] == package}
    loose = [name for name, path in within.items() if path.name not in ("__init__.py", "__main__.py")]
    assert len(loose) <= MOST_LOOSE, f"{package}: {len(loose)} loose modules: {sorted(loose)}"


@functools.cache
def touches_environment(name: str) -> bool:
    """Tells whether the module names `os.environ` or its kin."""
    text = MODULES[name].read_text()
    if not any(word in text for word in ENVIRONMENT):
        return False
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT and ast.unparse(node.value) == "os":
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os" and {a.name for a in node.names} & ENVIRONMENT:
            return True
    return False


@pytest.mark.parametrize("name", MODULES)
def test_the_environment_is_read_in_two_files(name: str) -> None:
    assert not touches_environment(name) or name in READS_ENVIRONMENT | MAY_TOUCH_ENVIRONMENT.keys()


def test_no_exception_outlives_its_reason() -> None:
    assert {name for name in MODULES if touches_environment(name)} >= MAY_TOUCH_ENVIRONMENT.keys()
    assert MODULES.keys() >= READS_ENVIRONMENT


def test_the_contract_package_imports_with_nothing_but_the_standard_library() -> None:
    """Imports every module of it under `python -S` with only the repository's own `agentgw` to be found."""
    code = (
        "import importlib.util, sys\n"
        f"sys.path.append({str(ROOT)!r})\n"
        "for found in ('trio', 'llama_cpp', 'agentgw_daemon', 'agentgw_shell'):\n"
        "    assert importlib.util.find_spec(found) is None, found\n"
        f"for name in {CONTRACT_MODULES!r}:\n"
        "    if not name.endswith('.__main__'):\n"
        "        importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
