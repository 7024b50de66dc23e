"""The words between the daemon and its retrieval workers. Vectors travel as `bytes`: little-endian float32.

A worker plays one role, named when it is started, and answers one request at a time. The messages of the vector
index are in `index`; together they are all there are.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Final, Literal

from agentgw_daemon.workers.protocol.codec import ReplyPart, WireMessage, WorkerReply, WorkerRequest, message, value

WorkerRole = Literal["search", "bulk", "read"]
ROLES: Final[tuple[WorkerRole, ...]] = ("search", "bulk", "read")
# The marks at both ends of what an embedder reads.
_MARKS: Final = 2
# Between the digest of what embeds and that of the prompt before each document.
_PROMPTED: Final = "+"
_PROMPT_DIGITS: Final = 16


@message
class Ready(WireMessage):
    """A worker's first words."""

    version: str
    pid: int
    role: str


@message
class Heartbeat(WireMessage):
    """Sent every few seconds while the worker works, from a thread that does nothing else."""

    rss_bytes: int


@message
class Cancel(WireMessage):
    """Notice that nobody waits for a request any more: end it soon, with Failed("cancelled") or whatever is done
    already.
    """


@message
class Failed(WorkerReply):
    """The request cannot be done. `kind`: unreadable, model, index, cancelled or invalid; `message` is for a person."""

    kind: str
    message: str


@value
class Embedder:
    """A way to turn text into vectors. At least one of the two is there; with both they give the same vectors.

    `folder` is a sentence-transformers model, `gguf` a file for llama.cpp. Texts are cut to `max_tokens`, the marks at
    their ends included. `pooling` is what `gguf` needs: mean, cls or last. `query_prompt` is put before each query and
    `document_prompt` before each document; the latter changes stored vectors, so `id` is that of both (`prompted_id`).
    """

    name: str
    id: str
    dim: int
    max_tokens: int
    folder: str = ""
    gguf: str = ""
    pooling: str = "mean"
    bert_words: bool = False
    query_prompt: str = ""
    document_prompt: str = ""


def prompted_id(embedder_id: str, document_prompt: str) -> str:
    """The id of the same embedder with this prompt before documents; without one, that of the embedder alone."""
    bare = bare_id(embedder_id)
    if not document_prompt:
        return bare
    return f"{bare}{_PROMPTED}{hashlib.sha256(document_prompt.encode()).hexdigest()[:_PROMPT_DIGITS]}"


def bare_id(embedder_id: str) -> str:
    """The id of the embedder alone, whatever prompt it puts before documents."""
    return embedder_id.partition(_PROMPTED)[0]


def without_prompts(embedder: Embedder) -> Embedder:
    """The embedder alone, which is the same in memory whatever is put before texts."""
    return dataclasses.replace(embedder, id=bare_id(embedder.id), query_prompt="", document_prompt="")


def room_tokens(embedder: Embedder, prompt: str) -> int:
    """Tokens of the window that a prompt leaves to a text for certain: a byte is a token at most."""
    return embedder.max_tokens - _MARKS - len(prompt.encode())


@message
class Embed(WorkerRequest):
    """Turn texts into vectors of unit length, each with `prompt` before it. Answered by Embedded. At least so many
    `more` texts are coming.
    """

    embedder: Embedder
    texts: tuple[str, ...]
    prompt: str = ""
    more: int = 0


@message
class Embedded(WorkerReply):
    """One vector a text, in their order, end to end; `engine` computed them."""

    dim: int
    vectors: bytes
    engine: str = ""


@message
class Warm(WorkerRequest):
    """Load the embedder, so that the next text need not wait. Answered by Warmed."""

    embedder: Embedder


@message
class Warmed(WorkerReply):
    """Answer that the embedder is loaded."""


@value
class DocumentChunk:
    """A chunk of a document: where it stands, and what is said there.

    `title_path` is the headings above it, joined by " > ". Lines count from 1, bytes from 0; the last byte is not part
    of it. `tokens` are the embedder's.
    """

    text: str
    title_path: str
    first_line: int
    last_line: int
    first_byte: int
    last_byte: int
    tokens: int


@message
class Read(WorkerRequest):
    """Open a document, or take `text`, and cut it into pieces. Any number of Pieces, then Extracted, Unchanged or
    Failed("unreadable").

    `path` is a name of the file system as Python has it, surrogates for what is not UTF-8. Without one, `text` is the
    document and `name` tells its format. With `known_sha256` a document of this digest is Unchanged. `embedder` is the
    one whose tokens are counted.
    """

    path: str = ""
    text: str = ""
    name: str = ""
    known_sha256: str = ""
    embedder: Embedder
    chunk_tokens: int
    overlap_tokens: int
    max_bytes: int
    max_chunks: int


@message
class Pieces(ReplyPart):
    """Some pieces, in the order of the document."""

    pieces: tuple[DocumentChunk, ...]


@message
class Extracted(WorkerReply):
    """The document was read; its pieces came before. `sha256` is that of its bytes; `note` says for a person what was
    not read as it stands.
    """

    format: str
    title: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    note: str = ""


@message
class Unchanged(WorkerReply):
    """Answer that the bytes are those of `known_sha256`; nothing was parsed."""

    sha256: str
    size_bytes: int
    mtime_ns: int
