"""Documents, and the folders that are followed for them: `document.*`."""

from __future__ import annotations

from typing import Annotated, Literal

from agentgw.protocol import types as t
from agentgw.protocol.calls.shared import Page, SkillsCwd
from agentgw.protocol.records.schema import Limit, record

_Label = Annotated[str, Limit(min_length=1, max_length=200)]
_OneCollection = Annotated[str | None, "one collection; without it, all", Limit(min_length=1, max_length=200)]
_PLACE = r"(/|file:///)[^\0]*"
_UPLOAD = Limit(pattern=r"u-[0-9a-f]{16}")
_COLLECTION = Limit(pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@record
class DocumentIngestParams:
    """Files, folders, a text or an uploaded document to store, so that they can be found."""

    paths: Annotated[
        tuple[Annotated[str, Limit(pattern=_PLACE, max_length=8192)], ...],
        "files and folders, absolute; `file:` addresses for names that are not UTF-8",
        Limit(max_length=1000),
    ] = ()
    text: Annotated[str | None, "in place of `paths`: a text, stored under `source`"] = None
    upload: Annotated[
        str | None, "in place of `paths`: what `document.upload` took, stored under `source`", _UPLOAD
    ] = None
    source: Annotated[
        str | None,
        "what the text, the upload, or the one file in `paths`, is called; its ending tells the format",
        Limit(min_length=1, max_length=4096),
    ] = None
    skills: Annotated[
        tuple[Annotated[str, Limit(pattern=r"[a-z0-9_-]{1,64}")], ...] | None,
        "the only skills that see it; empty: all; without it, what was stored before stays as it was",
        Limit(max_length=100),
    ] = None
    tags: Annotated[
        tuple[Annotated[str, Limit(min_length=1, max_length=64)], ...] | None,
        "labels; without it, what was stored before keeps its own",
        Limit(max_length=100),
    ] = None
    collection: Annotated[str, "where it is put", _COLLECTION] = "default"
    chunk_size: Annotated[
        int | None, "tokens of a chunk; without it, `rag.chunk_size`", Limit(minimum=16, maximum=8192)
    ] = None
    exclude: Annotated[
        tuple[Annotated[str, Limit(min_length=1, max_length=1000)], ...],
        "what is left out of folders, as lines of a .gitignore",
        Limit(max_length=1000),
    ] = ()
    prune: Annotated[bool, "remove documents below the folders whose files are gone, or left out by now"] = False
    cwd: Annotated[
        str | None,
        "absolute path: where the user is; the skills of a project count there",
        Limit(max_length=4096, pattern=r"(/[^\0]*)?"),
    ] = None
    watch: Annotated[bool, "follow the folders from now on, also after a restart; files that go are removed"] = False


@record
class IngestFailure:
    """A document that could not be read, and why."""

    source: str
    reason: str


@record
class IngestNote:
    """The part of a document that was not stored as it stands, such as pages without text."""

    source: str
    note: str


@record
class IngestResult:
    """Outcome for each document. Long lists are cut; the counts are whole."""

    added: Annotated[int, "documents that are new"]
    updated: Annotated[int, "that had changed"]
    unchanged: Annotated[int, "that were stored already"]
    chunks: Annotated[int, "that were stored now"]
    failed: Annotated[tuple[IngestFailure, ...], "documents that could not be read"] = ()
    failed_count: int = 0
    notes: Annotated[tuple[IngestNote, ...], "what was not read as it stands, of documents that were stored"] = ()
    notes_count: int = 0
    vanished: Annotated[
        tuple[str, ...], "documents below the folders whose files are gone, or left out by now; kept"
    ] = ()
    vanished_count: int = 0
    removed: Annotated[tuple[str, ...], "the same, removed by `prune`"] = ()
    removed_count: int = 0
    skipped: Annotated[int, "files and folders left out: ignored, hidden, secret, empty, made by programs"] = 0


@record
class DocumentUploadParams:
    """A piece of a document that is not on the daemon's machine."""

    data: Annotated[str, "the bytes in base64", Limit(max_length=800_000)]
    upload_id: Annotated[str | None, "of the pieces before; without it, a document begins", _UPLOAD] = None


@record
class UploadResult:
    """A document as far as it is there: for `document.ingest` on the same connection, and gone with that."""

    upload_id: str
    size_bytes: int


@record
class DocumentSearchParams:
    """Words to find in the user's documents."""

    query: Annotated[str, 'words, or a question; "in quotes" a phrase', Limit(min_length=1, max_length=10_000)]
    k: Annotated[int | None, "the number of chunks; without it, `rag.top_k`", Limit(minimum=1, maximum=100)] = None
    collection: _OneCollection = None
    skills: Annotated[tuple[_Label, ...], "only what any of these sees", Limit(max_length=100)] = ()
    tags: Annotated[tuple[_Label, ...], "only documents with any of these", Limit(max_length=100)] = ()
    cwd: SkillsCwd = None


@record
class DocumentSearchResult:
    """Best first; each text once."""

    chunks: tuple[t.Chunk, ...]
    notice: Annotated[str | None, "a part of the search that could not be done, for a person"] = None


@record
class DocumentListParams:
    """A choice of documents; all that is given must hold."""

    limit: Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None
    collection: _OneCollection = None
    source: Annotated[str | None, "a part of the source, whatever the case", Limit(min_length=1, max_length=4096)] = (
        None
    )
    skills: Annotated[tuple[_Label, ...], "labelled with any of these", Limit(max_length=100)] = ()
    tags: Annotated[tuple[_Label, ...], "with any of these", Limit(max_length=100)] = ()
    cwd: SkillsCwd = None


@record
class DocumentList:
    """The last written first."""

    documents: tuple[t.Document, ...]
    next: str | None = None


@record
class DocumentDeleteParams:
    """A choice of documents to remove; all that is given must hold, and something must be given."""

    sources: Annotated[
        tuple[Annotated[str, Limit(min_length=1, max_length=8192)], ...],
        "of any of these sources, or below one that is a folder",
        Limit(max_length=1000),
    ] = ()
    ids: Annotated[
        tuple[Annotated[str, Limit(min_length=1, max_length=64)], ...],
        "any of these, or unique prefixes",
        Limit(max_length=1000),
    ] = ()
    collection: _OneCollection = None
    dry_run: Annotated[bool, "remove nothing: say how much it would be"] = False


@record
class DocumentsDeleted:
    """The number of documents and chunks that went, or with `dry_run` would go."""

    documents: int
    chunks: Annotated[int, "that no other document of their collection holds"]


@record
class WatchedFolder:
    """A folder whose documents follow its files."""

    path: str
    collection: str
    state: Annotated[
        Literal["waiting", "reading", "following", "missing", "failing"],
        "missing: it is not there, its documents are kept; failing: see `error`",
    ]
    since: Annotated[str, "when it was first followed"]
    skills: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    chunk_size: int | None = None
    updated_at: Annotated[str | None, "when its files were last looked at"] = None
    error: Annotated[str | None, "the obstacle"] = None


@record
class WatchedList:
    """Followed folders by path."""

    folders: tuple[WatchedFolder, ...]


@record
class DocumentUnwatchParams:
    """The followed folder to let go."""

    path: Annotated[str, "a folder that is followed", Limit(pattern=_PLACE, max_length=8192)]
    collection: Annotated[str | None, "only into this collection; without it, into any", _COLLECTION] = None


@record
class Reembedding:
    """Chunks that are being embedded anew because `rag.embedder` was changed."""

    embedder: Annotated[str, "the new one; what was before is searched until it is done"]
    chunks_left: int
    error: Annotated[str | None, "why it stands still"] = None
