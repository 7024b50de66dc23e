"""Checks of the user's documents: folders that cannot be followed, vectors that are still to be made."""

from __future__ import annotations

from collections.abc import Iterable

from agentgw_daemon.doctor.context import DoctorContext, Verdict, fine, info, warning


def check_documents(context: DoctorContext) -> Iterable[Verdict]:
    """Checks for things that keep documents from being as their files are."""
    folders, again = tuple(context.watched()), context.reembedding()
    if again is not None:
        text = f"{again.chunks_left} chunks are being embedded anew with {again.embedder}"
        if again.error is None:
            yield info(f"{text}; what was before is searched until then")
        else:
            yield warning(f"{text}, but {again.error}", "agentgw pull that embedder, or set rag.embedder to another")
    for folder in folders:
        if folder.error is not None:
            yield warning(
                f"{folder.path} is followed, but {folder.error}", f"agentgw ingest --unwatch {folder.path} lets it go"
            )
    if again is None and all(folder.error is None for folder in folders):
        yield fine(f"{len(folders)} folders are followed" if folders else "no folder is followed")
