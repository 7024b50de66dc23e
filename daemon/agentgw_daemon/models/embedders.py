"""Embedders: which one a name or path means, what it is, and how workers use it.

    NAME/               pulled: a sentence-transformers folder, complete and verified
    NAME/.card.json     what a child process found in it, once; beside it `twin.gguf`, the conversion that it made
    .embedders/DIGEST/  the same two of a folder or file of the user's own

Nothing of a model is opened in the daemon: `workers.retrieval.embedding.embedder_info` is run as a program.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import trio

from agentgw.protocol.errors import InvalidParams, ModelUnavailable, NotFound
from agentgw.protocol.records.schema import bind, dump, record
from agentgw.protocol.types import Model
from agentgw_daemon.config.settings import RagSection
from agentgw_daemon.models.names.reference import GGUF, HubRef, parse
from agentgw_daemon.models.offer.catalogue import CATALOGUE, CatalogueEntry
from agentgw_daemon.models.refusals import disk_failed
from agentgw_daemon.system.durable import sync_path
from agentgw_daemon.system.json_file import read_mapping, write_atomically
from agentgw_daemon.workers.protocol import retrieval as wire

log = logging.getLogger(__name__)

_EXAMINER: Final = "agentgw_daemon.workers.retrieval.embedding.embedder_info"
# These names and those of two fields of the info are older than the words of the code. They stay, so that what users
# have on disk is neither made again, which takes seconds, nor pulled again.
INFO_FILE: Final = ".card.json"
CONVERSION_FILE: Final = "twin.gguf"
_STORED_FIELDS: Final = {"has_conversion": "twin", "no_conversion": "no_twin"}
_READ_FIELDS: Final = {stored: field for field, stored in _STORED_FIELDS.items()}
_OWN: Final = ".embedders"
# Counted up when infos or conversions are made in another way: those that are there are made again.
MAKER: Final = 3
# Reading, digesting and writing some gigabytes on a slow disk; the default takes one second.
TIMEOUT_S: Final = 600.0
_DIGEST_CHARACTERS: Final = 32
# Beside a prompt: as many as the smallest chunk has.
_LEAST_ROOM_TOKENS: Final = 16


@record
class Looked:
    """A file as it was when it was looked into."""

    name: str
    size_bytes: int
    mtime_ns: int
    inode: int


@record
class StoredEmbedderInfo:
    """Record of what the child said (its `EmbedderInfo`), of which files, and by which `MAKER`."""

    files: tuple[Looked, ...]
    maker: int = 0
    id: str
    sha256: str
    architecture: str
    dim: int
    max_tokens: int
    pooling: str
    has_conversion: bool = False
    no_conversion: str = ""
    query_prompt: str = ""
    document_prompt: str = ""


class Embedders:
    """Embedders in the models folder, and others by their path. `env` is what the child process gets."""

    def __init__(self, models: Path, env: Mapping[str, str]) -> None:
        self._models = models
        self._env = env
        # One at a time: two would write the same conversion.
        self._describing = trio.Lock()
        # By name: the time of the info, and what came of it.
        self._pulled: dict[str, tuple[int | None, wire.Embedder]] = {}

    async def find(self, text: str, file_of: Callable[[str], str | None], home: str | None) -> wire.Embedder:
        """The embedder that the configuration calls by this name or path. Raises ModelUnavailable.

        `file_of` gives the path of a model file that is called by a name.
        """
        entry = CATALOGUE.get(text)
        if entry is not None and entry.is_embedder:
            return await self._find_pulled(entry)
        path = _path_of(text, file_of, home)
        if path is None:
            raise _missing(text)
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:_DIGEST_CHARACTERS]
        out = self._models / _OWN / digest
        return self._use(text, Path(path), await self.describe(text, Path(path), out), out)

    def check_exists(self, text: str, file_of: Callable[[str], str | None], home: str | None) -> None:
        """Raises ModelUnavailable for what `find` could never find; one that can be pulled exists."""
        entry = CATALOGUE.get(text)
        if entry is not None and entry.is_embedder:
            return
        path = _path_of(text, file_of, home)
        if path is not None and not os.path.exists(path):
            raise _unusable(text[:100], f"there is no {path[:100]}")

    async def _find_pulled(self, entry: CatalogueEntry) -> wire.Embedder:
        """Asked for with every query, so it looks at the info's time alone, and not at the files it is of."""
        folder = self._models / entry.stem
        stamp = _stamp(folder / INFO_FILE)
        known = self._pulled.get(entry.name)
        if known is None or stamp is None or known[0] != stamp:
            if not await trio.to_thread.run_sync(folder.is_dir):
                raise _missing(entry.name)
            found = self._use(entry.name, folder, await self.describe(entry.name, folder, folder), folder)
            known = self._pulled[entry.name] = (_stamp(folder / INFO_FILE), found)
        return known[1]

    async def describe(self, name: str, path: Path, out: Path) -> StoredEmbedderInfo:
        """The info of a folder or file; made when there is none, or when the files have changed since.

        Raises ModelUnavailable.
        """
        info = await trio.to_thread.run_sync(_read_info, path, out)
        if info is not None:
            return info
        async with self._describing:
            return await trio.to_thread.run_sync(_read_info, path, out) or await self._make(name, path, out)

    def listing(self) -> Iterable[Model]:
        """The pulled ones as rows of `model.list`."""
        for entry in CATALOGUE.values():
            folder = self._models / entry.stem
            if entry.is_embedder and (info := _bound(folder)) is not None:
                yield Model(
                    name=entry.name, state="available", source="index", path=str(folder), size_bytes=entry.total_bytes,
                    sha256=info.sha256, licence=entry.licence, description=entry.description,
                    architecture=info.architecture, n_ctx_train_tokens=info.max_tokens, embedder=True,
                )  # fmt: skip

    def intact(self, entry: CatalogueEntry) -> bool:
        """Tells whether a pulled one is there as it was pulled. Blocking."""
        info = _read_info(self._models / entry.stem, self._models / entry.stem)
        return info is not None and info.sha256 == entry.sha256

    def place(self, folder: Path, entry: CatalogueEntry, scratch: Path) -> None:
        """Gives a complete folder its name; one that is there goes to `scratch`. Blocking. Raises ModelUnavailable."""
        try:
            for path in folder.rglob("*"):
                if path.is_file():
                    sync_path(path)
            self._move_away(entry, scratch)
            os.rename(folder, self._models / entry.stem)
            sync_path(self._models)
        except OSError as error:
            raise disk_failed(entry.name, error) from error

    def remove(self, entry: CatalogueEntry, scratch: Path) -> bool:
        """Deletes a pulled one; tells whether it was there. Blocking. Raises OSError."""
        return self._move_away(entry, scratch)

    def _move_away(self, entry: CatalogueEntry, scratch: Path) -> bool:
        """Moves an entry away by one rename, so that it is there whole or not at all; `scratch` is deleted
        by its owner.
        """
        try:
            os.rename(self._models / entry.stem, scratch / "old")
        except FileNotFoundError:
            return False
        return True

    def _use(self, name: str, path: Path, info: StoredEmbedderInfo, out: Path) -> wire.Embedder:
        is_file = path.name.lower().endswith(GGUF)
        return wire.Embedder(
            name=name, id=info.id, dim=info.dim, max_tokens=info.max_tokens, folder="" if is_file else str(path),
            gguf=str(path) if is_file else str(out / CONVERSION_FILE) if info.has_conversion else "",
            pooling=info.pooling, bert_words=info.has_conversion, query_prompt=info.query_prompt,
            document_prompt=info.document_prompt,
        )  # fmt: skip

    async def _make(self, name: str, path: Path, out: Path) -> StoredEmbedderInfo:
        files = await trio.to_thread.run_sync(_fingerprint, path)
        if not files:
            raise _unusable(name, f"there is nothing at {path}")
        try:
            await trio.to_thread.run_sync(lambda: out.mkdir(mode=0o700, parents=True, exist_ok=True))
            with trio.fail_after(TIMEOUT_S):
                done = await trio.run_process(
                    [sys.executable, "-P", "-m", _EXAMINER, str(path), str(out / f".{CONVERSION_FILE}")],
                    stdin=subprocess.DEVNULL, capture_stdout=True, capture_stderr=True, check=False,
                    env=dict(self._env), cwd="/", deliver_cancel=_kill,
                )  # fmt: skip
        except trio.TooSlowError:
            raise _unusable(name, f"takes more than {TIMEOUT_S:.0f} s to look into") from None
        except OSError as error:
            raise disk_failed(name, error) from error
        try:
            said = json.loads(done.stdout)
            ok = said.pop("ok")
        except (ValueError, AttributeError, KeyError):
            log.warning("the look into %s ended with %d: %s", path, done.returncode, done.stderr[-2000:])
            raise _unusable(name, f"broke the look into it (status {done.returncode})") from None
        if not ok:
            raise _unusable(name, str(said["reason"]))
        info = bind(StoredEmbedderInfo, {**said, "files": [dump(one) for one in files], "maker": MAKER})
        try:
            await trio.to_thread.run_sync(_store, out, info)
        except OSError as error:
            raise disk_failed(name, error) from error
        if info.no_conversion and not path.name.lower().endswith(GGUF):
            log.info("%s has no GGUF conversion for llama.cpp: %s", name, info.no_conversion)
        return info


def with_prompts(embedder: wire.Embedder, rag: RagSection) -> wire.Embedder:
    """The embedder with the configured prompts where it is the configured one, and else with its own.

    Raises ModelUnavailable where one fills the window.
    """
    is_configured = embedder.name == rag.embedder
    query, document = (rag.query_prompt, rag.document_prompt) if is_configured else (None, None)
    made = dataclasses.replace(
        embedder,
        query_prompt=embedder.query_prompt if query is None else query,
        document_prompt=embedder.document_prompt if document is None else document,
    )
    for kind, prompt in (("query", made.query_prompt), ("document", made.document_prompt)):
        if prompt and wire.room_tokens(made, prompt) < _LEAST_ROOM_TOKENS:
            reason = f"its {kind} prompt leaves too little room for a text in its {made.max_tokens} tokens"
            raise ModelUnavailable(
                f"the embedder {made.name[:100]} cannot be used: {reason}", model=made.name, reason=reason,
                hint=f'set rag.{kind}_prompt to a shorter one, or to "" for none',
            )  # fmt: skip
    return dataclasses.replace(made, id=wire.prompted_id(embedder.id, made.document_prompt))


def _store(out: Path, info: StoredEmbedderInfo) -> None:
    """The conversion first: an info that speaks of one has it."""
    if info.has_conversion:
        sync_path(out / f".{CONVERSION_FILE}")
        os.replace(out / f".{CONVERSION_FILE}", out / CONVERSION_FILE)
    write_atomically(out / INFO_FILE, {_STORED_FIELDS.get(name, name): value for name, value in dump(info).items()})


def _read_info(path: Path, out: Path) -> StoredEmbedderInfo | None:
    """The info, if it is that of the files as they are."""
    info = _bound(out)
    if (
        info is None
        or info.maker != MAKER
        or info.files != _fingerprint(path)
        or (info.has_conversion and not (out / CONVERSION_FILE).is_file())
    ):
        return None
    return info


def _bound(out: Path) -> StoredEmbedderInfo | None:
    """The info that is stored there."""
    stored = read_mapping(out / INFO_FILE)
    try:
        return bind(StoredEmbedderInfo, {_READ_FIELDS.get(name, name): value for name, value in stored.items()})
    except (InvalidParams, TypeError):
        return None


def _fingerprint(path: Path) -> tuple[Looked, ...]:
    """The files that make an embedder what it is; nothing if there are none."""
    try:
        found = (
            [path] if path.is_file() else [*path.glob("*.json"), *path.glob("*.safetensors"), *path.glob("*/*.json")]
        )
        return tuple(
            Looked(
                name=str(one.relative_to(path)),
                size_bytes=status.st_size,
                mtime_ns=status.st_mtime_ns,
                inode=status.st_ino,
            )
            for one in sorted(found)
            if not one.name.startswith(".")
            for status in (one.stat(),)
        )
    except OSError:
        return ()


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _is_of_hub(text: str) -> bool:
    """Tells whether a text names what can be pulled from a model hub."""
    try:
        return isinstance(parse(text), HubRef)
    except (InvalidParams, NotFound):
        return False


def _path_of(text: str, file_of: Callable[[str], str | None], home: str | None) -> str | None:
    """The path of the embedder called so, or None for what can be pulled. Raises ModelUnavailable for what is none."""
    path = file_of(text)
    if path is None and _is_of_hub(text):
        return None
    if path is None:
        path = os.path.join(home, text[2:]) if home is not None and text.startswith("~/") else text
    if not path.startswith("/"):
        raise ModelUnavailable(
            f"there is no embedder {text[:100]}", model=text, reason="unknown",
            hint="rag.embedder is a name of `agentgw models`, or the path of a .gguf file or of a folder",
        )  # fmt: skip
    return path


def _missing(name: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"the embedder {name} is not pulled", hint=f"run `agentgw pull {name}`", model=name, reason="not pulled",
        suggestion=name,
    )  # fmt: skip


def _unusable(name: str, reason: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"the embedder {name} cannot be used: {reason}", hint="correct rag.embedder with `agentgw config edit`",
        model=name, reason=reason,
    )  # fmt: skip


async def _kill(process: trio.Process) -> None:
    process.kill()
