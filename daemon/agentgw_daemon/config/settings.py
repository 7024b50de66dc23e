"""The settings a user may give, with their defaults: one record a section of `config.toml`.

Values only; `load` reads them. A key that is not here is an error there, so nothing may be listed that
nothing reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl, urlsplit

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import Limit, record
from agentgw_daemon.text.key_shapes import is_key_name, keys_in_query, keys_in_text, keys_in_words

LogLevel = Literal["debug", "info", "warning", "error"]

# No user name or password in an address: what is in config.toml is shown by `config show`.
_HTTP_ADDRESS = Limit(pattern=r"https?://[^/@\s]+(/\S*)?", max_length=2048)

# A name or a literal address; what it leads to is found out when it is bound.
_HOST = Limit(pattern=r"[A-Za-z0-9.:_-]+", min_length=1, max_length=255)

# Prompts of embedders in use have at most some 200 characters.
_PROMPT = Limit(max_length=512)

_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def named_variable(text: str) -> str | None:
    """The variable that a value `$NAME` or `${NAME}` stands for; None for any other value."""
    found = _VARIABLE.fullmatch(text)
    return (found[1] or found[2]) if found else None


@record
class ModelSection:
    """The model that answers when nothing names one, and the hub to which `hf:` references lead."""

    default: Annotated[str | None, "a model reference; without it, the best that is there", Limit(min_length=1)] = None
    hub: Annotated[str, "address of the model hub", _HTTP_ADDRESS] = "https://huggingface.co"


@record
class InferenceSection:
    """Settings of model workers; a change holds from the next load of a model."""

    n_ctx: Annotated[int, "context in tokens; 0 leaves it to the model", Limit(minimum=0, maximum=1 << 24)] = 0
    slots: Annotated[int, "sequences of one model at once", Limit(minimum=1, maximum=256)] = 4
    threads: Annotated[int, "of one worker; 0 is found by measuring", Limit(minimum=0, maximum=1024)] = 0
    attention: Annotated[Literal["auto", "flash", "plain"], "auto is found by measuring"] = "auto"
    # llama.cpp's own default is 2048; more than that only takes memory.
    batch_tokens: Annotated[
        int, "of a prompt computed at a time; 0 is found by measuring", Limit(minimum=0, maximum=4096)
    ] = 0
    calibrate: Annotated[bool, "measure what serves a model best, once, while it is idle after an answer"] = True
    gpu_layers: Annotated[int, "layers on the GPU; -1 is all that fit", Limit(minimum=-1, maximum=10_000)] = -1
    keep_alive_s: Annotated[float, "without a request, a model leaves memory after; negative is never"] = 300.0
    # States of some 100,000 tokens of a small model, of 15,000 of one with 7 billion parameters.
    speculate: Annotated[bool, "guess what repeats the prompt, where that is faster"] = True
    kv_cache_bytes: Annotated[
        int, "on disk for what sessions' prompts computed; 0 keeps nothing", Limit(minimum=0, maximum=1 << 50)
    ] = 2 << 30
    # From exec to its first words, which is mostly the import of llama.cpp.
    start_timeout_s: Annotated[float, "a worker must be up in", Limit(minimum=0.1, maximum=3600)] = 30.0
    load_timeout_s: Annotated[float, "a model must be loaded in", Limit(minimum=0.1, maximum=3600)] = 300.0


@record
class AgentSection:
    """Settings of turns."""

    default_skill: Annotated[
        str, "the skill of a turn that names none; `auto` finds one for the message", Limit(min_length=1, max_length=64)
    ] = "general-assistant"
    # Asked to choose, the starter model names the first skill it is shown to 21 of 22 messages: `auto` leaves it alone.
    route_by: Annotated[
        Literal["auto", "words", "model"],
        "what finds a skill where words are unclear: `model` asks the default model, `auto` only one that can choose",
    ] = "auto"
    max_iterations: Annotated[
        int, "steps of the model in one turn, where the skill says nothing", Limit(minimum=1, maximum=1000)
    ] = 10
    # A page is some 700 tokens; a small model that has lost itself goes on to the end of its context.
    detached_max_tokens: Annotated[
        int, "of a local model's answer that nobody watches, where nothing else is said; 0: none", Limit(minimum=0)
    ] = 4096
    max_orchestration_depth: Annotated[
        int, "how deep agents may delegate to agents; 0: not at all", Limit(minimum=0, maximum=10)
    ] = 3


@record
class ToolsSection:
    """Settings of tools: what they may do without being asked about."""

    roots: Annotated[
        tuple[Annotated[str, Limit(pattern=r"(/|~(/|$)).*", max_length=4096)], ...],
        "directories that tools may read and, asked, write in; without any, the turn's own",
    ] = ()
    allow: Annotated[
        tuple[Annotated[str, Limit(min_length=1, max_length=200)], ...],
        "tools that run without being asked about, but for sending data out once untrusted text was read",
    ] = ()


@record
class ProviderSection:
    """An OpenAI-compatible endpoint, `[providers.NAME]`; its models are `NAME/MODEL`."""

    base_url: Annotated[str, "address up to and including /v1", _HTTP_ADDRESS]
    api_key_env: Annotated[
        str | None,
        "the environment variable that holds the key, never the key itself",
        Limit(pattern=r"[A-Za-z_][A-Za-z0-9_]*", max_length=100),
    ] = None
    models: Annotated[tuple[str, ...], "models to list; others of the endpoint work as well"] = ()


@record
class McpServerSection:
    """A server of the Model Context Protocol, `[mcp.servers.NAME]`: a command to run, or an address."""

    command: Annotated[str | None, "the program", Limit(min_length=1, max_length=4096)] = None
    args: Annotated[tuple[str, ...], "its arguments"] = ()
    env: Annotated[Mapping[str, str], "its variables; $NAME is the daemon's own variable of that name"] = field(
        default_factory=dict
    )
    cwd: Annotated[str | None, "its working directory; otherwise the home directory", Limit(pattern=r"/.*")] = None
    url: Annotated[str | None, "address of a server that speaks streamable HTTP", _HTTP_ADDRESS] = None
    timeout_s: Annotated[float, "a call must be answered in", Limit(minimum=0.1, maximum=86_400)] = 60.0
    enabled: Annotated[bool, "whether it is used"] = True

    def __post_init__(self) -> None:
        """Raises InvalidParams."""
        if (self.command is None) == (self.url is None):
            key = "command" if self.command is None else "url"
            reason = "or url is needed" if self.command is None else "and command exclude each other"
            raise InvalidParams(f"{key} {reason}", path=key, reason=reason)


@record
class McpSection:
    """Settings of MCP servers, the tools of other programs."""

    servers: Mapping[str, McpServerSection] = field(default_factory=dict)


@record
class RagSection:
    """Settings of your own documents: how they are cut, turned into vectors and found."""

    embedder: Annotated[
        str,
        "what turns text into vectors: a name of `agentgw models`, a .gguf file, or a folder of sentence-transformers",
        Limit(min_length=1, max_length=4096),
    ] = "all-minilm-l6-v2"
    query_prompt: Annotated[
        str | None, "put before each query that is embedded; without it, what the embedder's folder says", _PROMPT
    ] = None
    document_prompt: Annotated[
        str | None, "put before each piece that is embedded; another one embeds all pieces anew", _PROMPT
    ] = None
    # The default embedder reads 256 tokens; headings and the marks at both ends are counted beside a chunk's own.
    chunk_size: Annotated[int, "tokens of the embedder in a chunk", Limit(minimum=16, maximum=8192)] = 200
    top_k: Annotated[int, "chunks that a search gives", Limit(minimum=1, maximum=100)] = 5
    # Four chunks and their sources. A quarter of the context is the most in any case.
    prompt_tokens: Annotated[
        int, "of the model, in a prompt for pieces of documents", Limit(minimum=0, maximum=1_000_000)
    ] = 1000
    min_similarity: Annotated[
        float, "pieces less alike to the message are not put into a prompt", Limit(minimum=-1, maximum=1)
    ] = 0.25


@record
class SchedulerSection:
    """Settings of jobs: how many run at once, and how long their results are kept."""

    enabled: Annotated[bool, "start jobs when they are due"] = True
    max_running: Annotated[int, "runs of jobs at once", Limit(minimum=1, maximum=64)] = 1
    keep_days: Annotated[float, "runs are kept in the history for", Limit(minimum=1, maximum=36_600)] = 90.0


@record
class WebhooksSection:
    """The record of webhooks.yaml's deliveries."""

    keep_days: Annotated[
        float, "deliveries stay in the log, and are tried by a later daemon, for", Limit(minimum=0.01, maximum=3650)
    ] = 30.0


@record
class NotificationsSection:
    """Settings of notices on the desktop."""

    desktop: Annotated[bool, "show approvals that wait, and ends of jobs that ask for it"] = True


@record
class ShellSection:
    """The chat on a terminal, which reads this when it connects."""

    editing: Annotated[Literal["emacs", "vi"], "keys of the line editor"] = "emacs"
    prefill: Annotated[bool, "compute the prompt while it is typed, where nobody else computes"] = True
    alert: Annotated[
        Literal["bell", "osc9", "none"], "the way to tell the terminal that a question waits; osc9 is a notification"
    ] = "bell"


@record
class HttpSection:
    """Settings of HTTP beside the socket, off unless asked for; a change holds from the next start."""

    enabled: Annotated[bool, "serve HTTP: on http.sock, and where `port` says"] = False
    host: Annotated[str, "address of the port; others than this machine's own let strangers try the key", _HOST] = (
        "127.0.0.1"
    )
    port: Annotated[
        int | None, "of TCP; without it there is http.sock alone; 0: any free one", Limit(minimum=0, maximum=65535)
    ] = None
    allow_hosts: Annotated[
        tuple[Annotated[str, Limit(pattern=r"[A-Za-z0-9.\[\]:_-]+", max_length=300)], ...],
        "names, with or without port, by which requests may reach the port besides this machine's own",
        Limit(max_length=100),
    ] = ()
    allow_origins: Annotated[
        tuple[Annotated[str, Limit(pattern=r"https?://[A-Za-z0-9.\[\]:_-]+", max_length=300)], ...],
        "web sites whose pages may call it, as https://app.example",
        Limit(max_length=100),
    ] = ()
    # Two hundred watchers of one turn are no strain; a hundred answers at once are more than any model serves.
    requests: Annotated[int, "answered at once", Limit(minimum=1, maximum=1024)] = 64
    watchers: Annotated[int, "event streams at once", Limit(minimum=1, maximum=2048)] = 256
    max_upload_bytes: Annotated[int, "of one document sent by HTTP", Limit(minimum=4096, maximum=8 << 30)] = 100 << 20


@record
class LimitsSection:
    """Bounds of the wire, of shutting down and of what endpoints say."""

    max_message_bytes: Annotated[int, "one frame", Limit(minimum=4096, maximum=64 << 20)] = 1 << 20
    connections: Annotated[int, "open at once", Limit(minimum=1, maximum=4096)] = 256
    in_flight: Annotated[int, "requests of one connection", Limit(minimum=1, maximum=1024)] = 32
    # The upper bound keeps nesting clear of the interpreter's recursion limit of 1000.
    depth: Annotated[int, "nesting of a frame", Limit(minimum=4, maximum=256)] = 64
    frame_timeout_s: Annotated[float, "a started frame must end in", Limit(minimum=0.1, maximum=3600)] = 10.0
    write_stall_s: Annotated[float, "a reader may stall for", Limit(minimum=0.1, maximum=3600)] = 10.0
    outbox_bytes: Annotated[int, "queued for one reader", Limit(minimum=4096, maximum=64 << 20)] = 1 << 20
    shutdown_s: Annotated[float, "grace of a stop", Limit(minimum=0, maximum=3600)] = 20.0
    # The longest answers that models give have 128,000 tokens, reasoning included: half of it.
    answer_bytes: Annotated[
        int, "an endpoint's answer, its reasoning and calls included", Limit(minimum=4096, maximum=64 << 20)
    ] = 1 << 20
    # Covers the prefill of a long prompt on a slow machine.
    endpoint_silence_s: Annotated[float, "an endpoint may say nothing for", Limit(minimum=1, maximum=86_400)] = 300.0


@record
class DaemonSection:
    """The daemon's own life."""

    idle_exit_s: Annotated[
        float, "it ends when nobody needed it for so long and no job or followed folder does; 0 is never",
        Limit(minimum=0, maximum=31_536_000),
    ] = 0.0  # fmt: skip


@record
class StorageSection:
    """The database's contents over the years. Sessions stay until they are deleted."""

    keep_turn_logs_days: Annotated[
        float, "the notifications of ended turns are kept for; 0 is for good", Limit(minimum=0, maximum=36_600)
    ] = 0.0


@record
class LogSection:
    """The daemon's log file."""

    level: LogLevel = "info"
    max_bytes: Annotated[int, "size at which the file is rotated", Limit(minimum=4096, maximum=1 << 30)] = 10 << 20
    backups: Annotated[int, "rotated files kept", Limit(minimum=1, maximum=100)] = 3


@record
class Settings:
    """Settings of all sections."""

    model: ModelSection = ModelSection()
    inference: InferenceSection = InferenceSection()
    agent: AgentSection = AgentSection()
    tools: ToolsSection = ToolsSection()
    providers: Mapping[str, ProviderSection] = field(default_factory=dict)
    mcp: McpSection = McpSection()
    rag: RagSection = RagSection()
    scheduler: SchedulerSection = SchedulerSection()
    webhooks: WebhooksSection = WebhooksSection()
    notifications: NotificationsSection = NotificationsSection()
    http: HttpSection = HttpSection()
    shell: ShellSection = ShellSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()
    daemon: DaemonSection = DaemonSection()
    storage: StorageSection = StorageSection()


def secrets_of(settings: Settings, environ: Mapping[str, str]) -> frozenset[str]:
    """The values that nobody may be shown: keys of endpoints, what servers are given that is called a key, our own."""
    return frozenset(filter(None, _secrets(settings, environ)))


def _secrets(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    yield environ.get("AGENTGW_API_KEY", "")
    yield environ.get("HF_TOKEN", "").strip()
    for provider in settings.providers.values():
        yield environ.get(provider.api_key_env or "", "")
        yield from keys_in_query(provider.base_url)
    for server in settings.mcp.servers.values():
        query = parse_qsl(urlsplit(server.url).query) if server.url else ()
        for name, text in (*server.env.items(), *query):
            if variable := named_variable(text):
                yield environ.get(variable, "")
            elif is_key_name(name):
                yield text
            else:
                yield from keys_in_text(text)
        yield from keys_in_words(server.args)
