"""Folders that the daemon follows: what changes in them is ingested, what goes is removed, also after a restart.

The system tells when something changes; then the whole folder is compared with what is stored, which is a look at each
file and so also right after a rename, an ignore file or a missed message. A folder that is not there, or is empty where
there were documents (a volume that is not mounted looks so), keeps its documents and is tried again. Whatever goes
wrong with a folder, also a mistake of ours, ends that look at it and nothing else.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

import trio

from agentgw.protocol.calls.documents import DocumentIngestParams, WatchedFolder
from agentgw.protocol.errors import InvalidParams, NotFound, Overloaded, RpcError
from agentgw_daemon.knowledge.ingest.folder_changes import open_folder_changes
from agentgw_daemon.knowledge.sources import path_of, shown
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.storage.documents.watched import Watched
from agentgw_daemon.system.ids import now

if TYPE_CHECKING:
    from agentgw_daemon.knowledge.ingest.ingest import Ingest
    from agentgw_daemon.storage.database import Database

log = logging.getLogger(__name__)

# Each holds a thread while it waits for the system's messages.
MOST_FOLDERS: Final = 32
# Messages get lost (a full queue, a network file system): nothing is missed for longer than this.
_LOOK_EVERY_S: Final = 600.0
_TRY_AGAIN_S: Final = 30.0
# After a mistake of ours, which will most likely be made again: the pause doubles up to this.
_LONGEST_PAUSE_S: Final = 3600.0
# At most a fifth of the time goes into looking, however often a large folder changes.
_REST_SHARE: Final = 4
_LONGEST_REST_S: Final = 120.0

FolderState = Literal["waiting", "reading", "following", "missing", "failing"]


class Followed:
    """One followed folder and its state."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.state: FolderState = "waiting"
        self.updated_at: str | None = None
        self.error: str | None = None
        self.scope = trio.CancelScope()
        self.rounds = 0
        # Reason why the system tells nothing, once it was logged.
        self.unheard = ""
        self._changed = trio.lowlevel.ParkingLot()

    def be(self, state: FolderState, error: str | None = None) -> None:
        """Puts the folder into this state."""
        self.state, self.error = state, error
        self._changed.unpark_all()

    async def wait_for(self, condition: Callable[[Followed], bool]) -> None:
        """Returns when its state is one for which the condition holds."""
        while not condition(self):
            await self._changed.park()

    def shown(self) -> WatchedFolder:
        """The folder as the wire has it."""
        watched = self.watched
        return WatchedFolder(
            path=shown(watched.path), collection=watched.collection, state=self.state, since=watched.since,
            skills=watched.skills or (), tags=watched.tags or (), exclude=watched.exclude,
            chunk_size=watched.chunk_size, updated_at=self.updated_at, error=self.error,
        )  # fmt: skip


class Watching:
    """Followed folders, each with a task in the nursery it was handed."""

    def __init__(self, database: Database, ingest: Ingest, nursery: trio.Nursery) -> None:
        self._database = database
        self._ingest = ingest
        self._nursery = nursery
        self._followed: dict[tuple[str, str], Followed] = {}
        self._is_resumed = False
        self._resuming = trio.Lock()

    @property
    def may_follow(self) -> bool:
        """Tells whether a folder is followed, or it is not known yet."""
        return not self._is_resumed or bool(self._followed)

    async def resume(self) -> None:
        """Follow what was followed before the daemon started. Raises nothing: it runs beside everything else."""
        while True:
            try:
                await self.take_up()
                return
            except RpcError as error:
                log.warning("what is followed cannot be looked up now: %s", error.message)
            await trio.sleep(_TRY_AGAIN_S)

    async def take_up(self) -> None:
        """Follow what was followed before the daemon started, if that is not done yet: requests may come before it.

        Raises StorageUnavailable.
        """
        async with self._resuming:
            if self._is_resumed:
                return
            for watched in await self._database.watched.all():
                self._begin(watched)
            self._is_resumed = True

    async def folders_of(self, params: DocumentIngestParams) -> tuple[Watched, ...]:
        """The folders that `watch` asks for.

        Raises InvalidParams for what is no folder, Overloaded for too many, StorageUnavailable.
        """
        await self.take_up()
        folders = tuple(
            Watched(
                path=_folder(path), collection=params.collection, skills=params.skills, tags=params.tags,
                exclude=params.exclude, chunk_size=params.chunk_size,
            )
            for path in params.paths
        )  # fmt: skip
        if not folders:
            raise _invalid("only folders can be followed")
        new = {(one.path, one.collection) for one in folders} - self._followed.keys()
        if len(self._followed) + len(new) > MOST_FOLDERS:
            raise Overloaded(
                f"{MOST_FOLDERS} folders are followed at most", hint="see `agentgw ingest --watched`", limit="watched",
                value=MOST_FOLDERS,
            )  # fmt: skip
        return folders

    async def follow(self, watched: Watched) -> Followed:
        """Follow a folder from now on; one that is followed already in the new way."""
        await self.take_up()
        return self._begin(await self._database.watched.put(watched))

    async def unfollow(self, path: str, collection: str | None = None) -> None:
        """Follow a folder no more. Raises NotFound, StorageUnavailable."""
        await self.take_up()
        found = path_of(path) or path
        if not await self._database.watched.remove(found, collection):
            raise NotFound(
                f"{shown(found)} is not followed", hint="`agentgw ingest --watched` shows what is", kind="folder",
                id=shown(found),
            )  # fmt: skip
        for key in [key for key in self._followed if key[0] == found and collection in (None, key[1])]:
            self._followed.pop(key).scope.cancel()

    def listing(self) -> tuple[WatchedFolder, ...]:
        """The followed folders by path, as far as they are taken up."""
        return tuple(self._followed[key].shown() for key in sorted(self._followed))

    def _begin(self, watched: Watched) -> Followed:
        key = (watched.path, watched.collection)
        if key in self._followed:
            self._followed[key].scope.cancel()
        followed = self._followed[key] = Followed(watched)
        self._nursery.start_soon(supervised, "following a folder", self._follow, followed)
        return followed

    async def _follow(self, followed: Followed) -> None:
        """The supervision point of a folder: what goes wrong with it stays here."""
        pause_s = _TRY_AGAIN_S
        try:
            with followed.scope:
                while True:
                    try:
                        await self._follow_once(followed)
                        pause_s = _TRY_AGAIN_S
                    except Exception:  # noqa: BLE001  # the supervision point of one look
                        _log_mistake(followed)
                        followed.be("failing", "an internal error; see `agentgw logs`")
                        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                    await trio.sleep(pause_s)
        except Exception:  # noqa: BLE001  # the same
            # Raised beside the cancellation, so it was with that until here.
            _log_mistake(followed)

    async def _follow_once(self, followed: Followed) -> None:
        """Follows until the folder is gone, or something keeps us from following it."""
        path = followed.watched.path
        if not await trio.to_thread.run_sync(os.path.isdir, os.path.join(path, ".")):
            followed.be("missing", "is not there")
            return
        try:
            async with open_folder_changes(path) as changes:
                # Listening before looking: what changes meanwhile is told afterwards.
                while await trio.to_thread.run_sync(changes.is_in_place):
                    await self._look(followed)
                    await changes.wait(_TRY_AGAIN_S if followed.state == "failing" else _LOOK_EVERY_S)
        except OSError as error:
            # The system has no more watches to give, most likely: then we look by ourselves now and then.
            if followed.unheard != str(error):
                followed.unheard = str(error)
                log.warning("%s is looked at every %g s: %s", shown(path), _TRY_AGAIN_S, error)
            await self._look(followed)

    async def _look(self, followed: Followed) -> None:
        """Bring what is stored in line with the folder."""
        watched, started = followed.watched, trio.current_time()
        try:
            if await self._is_unmounted(watched):
                followed.be("missing", "is empty, as if a volume were not mounted; its documents are kept")
                return
            followed.be("reading")
            result = await self._ingest.run(_params(watched))
        except RpcError as error:
            log.warning("%s cannot be followed now: %s", shown(watched.path), error.message)
            followed.be("failing", error.message)
            return
        # Of the folder itself, not of something in it.
        refused = next((one.reason for one in result.failed if one.source == shown(watched.path)), None)
        if refused is not None:
            log.warning("%s cannot be followed now: %s", shown(watched.path), refused)
            followed.be("failing", refused)
            return
        if result.added or result.updated or result.removed_count:
            log.info(
                "%s: %d documents added, %d updated, %d removed, %d cannot be read", shown(watched.path), result.added,
                result.updated, result.removed_count, result.failed_count,
            )  # fmt: skip
        followed.updated_at = now()
        followed.rounds += 1
        followed.be("following")
        await trio.sleep(min(_LONGEST_REST_S, _REST_SHARE * (trio.current_time() - started)))

    async def _is_unmounted(self, watched: Watched) -> bool:
        if not await trio.to_thread.run_sync(_is_empty, watched.path):
            return False
        return bool(await self._database.documents.below(watched.collection, watched.path))


def _log_mistake(followed: Followed) -> None:
    """The traceback, for whoever mends it; called while the exception is handled."""
    log.exception("following %s failed", shown(followed.watched.path))


def _is_empty(path: str) -> bool:
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _params(watched: Watched) -> DocumentIngestParams:
    return DocumentIngestParams(
        paths=(watched.path,), skills=watched.skills, tags=watched.tags, collection=watched.collection,
        chunk_size=watched.chunk_size, exclude=watched.exclude, prune=True,
    )  # fmt: skip


def _folder(given: str) -> str:
    path = path_of(given)
    if path is None or not os.path.isdir(path):
        raise _invalid(f"{given} is not a folder, and only folders can be followed")
    return path


def _invalid(reason: str) -> InvalidParams:
    return InvalidParams(f"Invalid params: paths {reason}", path="paths", reason=reason)
