"""The messages of the vector index. Labels travel as little-endian int64, vectors and scores as float32.

An index is named by its key. It is opened first, and again after a worker's restart: until then everything about it is
refused as "index". Nothing here takes long but the reading of a file; the daemon asks for the building step by step.
"""

from __future__ import annotations

from typing import Final

from agentgw_daemon.workers.protocol.codec import WorkerReply, WorkerRequest, message
from agentgw_daemon.workers.protocol.retrieval import Embedder

# The refusal of everything about an index that was not opened, or was lost with its worker.
NOT_OPEN: Final = "the index is not open"


@message
class IndexOpen(WorkerRequest):
    """Make an index, from `file` in `folder` when its description has this digest; else, or when the file is not what
    it says, empty. An open index stays as it is. Answered by IndexState.

    `embedder_id` is what the file must be of; `expected` how many vectors are coming.
    """

    key: str
    dim: int
    embedder_id: str
    folder: str
    file: str = ""
    sha256: str = ""
    expected: int = 0


@message
class IndexState(WorkerReply):
    """State of an index.

    `generation` is what IndexAdvance said, 0 for a new one. `waiting` vectors are found by looking at each, and are to
    be built in; `unsaved`: there is something that a file would save. `refused`: why its file was not taken.
    """

    generation: int
    live: int
    deleted: int
    waiting: int
    unsaved: bool
    refused: str = ""


@message
class IndexAdd(WorkerRequest):
    """Add vectors of unit length; those it has are left as they are. Answered by IndexState."""

    key: str
    labels: bytes
    vectors: bytes


@message
class IndexRemove(WorkerRequest):
    """Remove labels, given as pairs of the first and how many; those it lacks are ignored. Answered by IndexState."""

    key: str
    ranges: bytes


@message
class IndexAdvance(WorkerRequest):
    """Notice that the index is given everything up to a generation. Answered by IndexState."""

    key: str
    generation: int


@message
class IndexBuild(WorkerRequest):
    """Build in what waits, for about so long. Answered by IndexState."""

    key: str
    budget_ms: float


@message
class IndexSave(WorkerRequest):
    """Write the index to a new file; refused while vectors wait. Answered by IndexSaved."""

    key: str


@message
class IndexSaved(WorkerReply):
    """Answer that the index is on the disk; `sha256` is the digest of the description beside the file."""

    file: str
    sha256: str
    generation: int


@message
class IndexClose(WorkerRequest):
    """Forget an index. Answered by IndexState; one that is not open is no error."""

    key: str


@message
class IndexSearch(WorkerRequest):
    """The nearest vectors. Answered by IndexFound.

    The query is a `vector`, or a `text` for the `embedder`, behind its query prompt. With `narrow`, only labels in
    `ranges` (pairs of the first and how many, in order) are found: never fewer than `k` while there are so many.
    """

    key: str
    k: int
    vector: bytes = b""
    text: str = ""
    embedder: Embedder | None = None
    narrow: bool = False
    ranges: bytes = b""


@message
class IndexFound(WorkerReply):
    """Labels with their cosine similarities, the best first, and the vector that was looked for."""

    labels: bytes
    scores: bytes
    vector: bytes
    generation: int
    live: int
