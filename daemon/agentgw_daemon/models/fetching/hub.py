"""The model hub: which files a repository has, and which of them a reference means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import httpx

from agentgw.protocol.errors import ModelUnavailable, NotFound
from agentgw.protocol.records.schema import record
from agentgw_daemon.models.fetching.download import Remote, open_url, read_body
from agentgw_daemon.models.fetching.hub_access import refusal
from agentgw_daemon.models.names.reference import GGUF, HubRef
from agentgw_daemon.models.names.shards import MAX_SHARDS, shard_of

# Sensible on a laptop first: about 4 bits a weight, then more, then less, then the full ones.
PREFERRED: Final = (
    "Q4_K_M", "Q4_0", "Q4_1", "Q4_K_S", "IQ4_XS", "IQ4_NL", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q8_0",
    "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K", "BF16", "F16", "F32",
)  # fmt: skip
_QUANT: Final = re.compile(
    r"(?<![A-Za-z0-9])(I?Q[1-8]_(?:K|[01]|NL|XXS|XS|S|M)(?:_(?:XXS|XS|XL|S|M|L))?|TQ[12]_0|MXFP4(?:_MOE)?|BF16|F16|F32)"
    r"(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
# A page of the list holds up to 1,000 files of about 300 bytes.
_MAX_LIST_BYTES: Final = 4 << 20
_MAX_PAGES: Final = 10


@record
class HubFile:
    """A GGUF file of a repository."""

    path: str
    size_bytes: int
    sha256: str | None

    @property
    def quant(self) -> str | None:
        """The quantisation that the name tells, or else the nearest folder that tells one."""
        for part in reversed(self.path.split("/")):
            if found := _QUANT.findall(part):
                return str(found[-1]).upper()
        return None


@record
class ListedModel:
    """A model of a repository: its files, of a split one in order. Some may be missing from the list."""

    files: tuple[HubFile, ...]
    count: int = 1

    @property
    def quant(self) -> str | None:
        """The quantisation that its name tells."""
        return self.files[0].quant

    @property
    def refusal(self) -> str:
        """The reason why it cannot be pulled, in words; empty where it can."""
        if self.count > MAX_SHARDS:
            return f"it is split into {self.count} files; at most {MAX_SHARDS} are taken"
        if len(self.files) < self.count:
            there = {shard.number for file in self.files if (shard := shard_of(file.path))}
            missing = [str(number) for number in range(1, self.count + 1) if number not in there]
            named = ", ".join(missing[:5]) + (" and more" if len(missing) > 5 else "")
            return f"it is split into {self.count} files, and the repository has no part {named}"
        if any(file.sha256 is None for file in self.files):
            return "the hub tells no sha256 of it, so it cannot be verified"
        if len({file.sha256 for file in self.files}) < self.count:
            return "two of its files have the same sha256, so they are not all of a model"
        return ""


@record
class ResolvedReference:
    """Meaning of a reference: the files, where to download them, and the shortest reference that means them too."""

    files: tuple[HubFile, ...]
    remotes: tuple[Remote, ...]
    name: str

    @property
    def file(self) -> HubFile:
        """The file that the model is known by, of a split one the first."""
        return self.files[0]


async def find(client: httpx.AsyncClient, hub_url: str, ref: HubRef) -> ResolvedReference:
    """The files that `ref` means. Raises NotFound or ModelUnavailable."""
    files = await _files(client, hub_url, ref)
    chosen = choose(ref, files)
    name = _name(ref, chosen, files)
    base = f"{_page(hub_url, ref)}/resolve/main"
    remotes = [
        Remote(name=name, url=f"{base}/{file.path}", size_bytes=file.size_bytes, sha256=file.sha256 or "")
        for file in chosen
    ]
    return ResolvedReference(files=chosen, remotes=tuple(remotes), name=name)


def _name(ref: HubRef, chosen: tuple[HubFile, ...], files: Sequence[HubFile]) -> str:
    file = chosen[0]
    by_quant = HubRef(owner=ref.owner, repo=ref.repo, quant=file.quant)
    if file.quant is not None and "mmproj" not in file.path.lower() and choose(by_quant, files) == chosen:
        return by_quant.name
    return HubRef(owner=ref.owner, repo=ref.repo, file=file.path).name


async def licence(client: httpx.AsyncClient, hub_url: str, ref: HubRef) -> str | None:
    """The licence the repository names; None when it names none or does not say so now."""
    try:
        answer = await _get(client, hub_url, f"{hub_url.rstrip('/')}/api/models/{ref.owner}/{ref.repo}", ref)
    except (ModelUnavailable, NotFound):
        return None
    tags = answer[0].get("tags") if isinstance(answer[0], dict) else None
    named = [tag for tag in tags or () if isinstance(tag, str) and tag.startswith("license:")]
    return named[0].removeprefix("license:")[:64] if named else None


def choose(ref: HubRef, files: Sequence[HubFile]) -> tuple[HubFile, ...]:
    """The files that `ref` means among those of its repository. Raises NotFound or ModelUnavailable."""
    listed = list(_models(files))
    if ref.file is not None:
        fitting = [model for model in listed if any(file.path == ref.file for file in model.files)]
        if not fitting:
            raise _not_found(ref, f"{ref.owner}/{ref.repo} has no file {ref.file}", listed)
        return _best(ref, fitting)
    # Projectors of vision models are GGUF files and no models.
    models = [model for model in listed if "mmproj" not in model.files[0].path.lower()]
    if not models:
        raise _not_found(ref, f"{ref.owner}/{ref.repo} has no GGUF model", ())
    if ref.quant is not None:
        fitting = [model for model in models if model.quant == ref.quant]
        if not fitting:
            raise _not_found(ref, f"{ref.owner}/{ref.repo} has no {ref.quant}", models)
        return _best(ref, fitting)
    for quant in PREFERRED:
        fitting = [model for model in models if model.quant == quant and not model.refusal]
        if fitting:
            return _best(ref, fitting)
    if len(models) == 1:
        return _best(ref, models)
    raise _not_found(ref, f"{ref.owner}/{ref.repo} has several models and none of a usual quantisation", models)


def _best(ref: HubRef, fitting: Iterable[ListedModel]) -> tuple[HubFile, ...]:
    """The files of the one that can be pulled, in the fewest files, nearest to the root, by name."""

    def order(model: ListedModel) -> tuple[bool, int, int, str]:
        path = model.files[0].path
        return bool(model.refusal), model.count, path.count("/"), path

    best = min(fitting, key=order)
    if best.refusal:
        raise ModelUnavailable(f"{ref.name} cannot be pulled: {best.refusal}", model=ref.name, reason=best.refusal)
    return best.files


def _models(files: Iterable[HubFile]) -> Iterator[ListedModel]:
    """The models of a list: each file that is whole, and the files of each that is split."""
    split: dict[tuple[str, int], dict[int, HubFile]] = {}
    for file in sorted(files, key=lambda file: file.path):
        shard = shard_of(file.path)
        if shard is None or shard.count == shard.number == 1:
            yield ListedModel(files=(file,))
        elif shard.makes_sense:
            split.setdefault((shard.prefix, shard.count), {}).setdefault(shard.number, file)
    for (_, count), parts in split.items():
        yield ListedModel(files=tuple(parts[number] for number in sorted(parts)), count=count)


def _not_found(ref: HubRef, message: str, models: Sequence[ListedModel]) -> NotFound:
    quants = sorted({model.quant for model in models if model.quant and not model.refusal})
    hint = f"it has {', '.join(quants)}"[:300] if quants else ""
    return NotFound(message, hint=hint, kind="model", id=ref.name)


async def _files(client: httpx.AsyncClient, hub_url: str, ref: HubRef) -> list[HubFile]:
    url: str | None = f"{hub_url.rstrip('/')}/api/models/{ref.owner}/{ref.repo}/tree/main?recursive=true"
    found: list[HubFile] = []
    for _ in range(_MAX_PAGES):
        if url is None:
            break
        rows, url = await _get(client, hub_url, url, ref)
        if not isinstance(rows, list):
            raise _not_understood(ref, "its list of files is no list")
        found += [file for row in rows if (file := _file(row)) is not None]
    return found


def _file(row: Any) -> HubFile | None:
    """A row of the list, when it is a GGUF file under a name that can be asked for."""
    if not isinstance(row, dict) or row.get("type") != "file":
        return None
    path, size = row.get("path"), row.get("size")
    if not isinstance(path, str) or not path.lower().endswith(GGUF) or type(size) is not int or size <= 0:
        return None
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*", path):
        return None
    lfs = row.get("lfs")
    oid = lfs.get("oid") if isinstance(lfs, dict) else None
    return HubFile(path=path, size_bytes=size, sha256=oid if isinstance(oid, str) and _SHA256.fullmatch(oid) else None)


def _page(hub_url: str, ref: HubRef) -> str:
    """The repository's page, where its licence can be accepted."""
    return f"{hub_url.rstrip('/')}/{ref.owner}/{ref.repo}"


async def _get(client: httpx.AsyncClient, hub_url: str, url: str, ref: HubRef) -> tuple[Any, str | None]:
    """A JSON answer of the hub, and the address of the next page."""
    try:
        async with open_url(
            client, url, {"Accept": "application/json", "Accept-Encoding": "identity"}, ref.name
        ) as response:
            if (wants_account := refusal(ref.name, response, _page(hub_url, ref))) is not None:
                raise wants_account
            if response.status_code in (401, 403, 404):
                # The hub answers 401 for a repository that does not exist: it does not tell which are private.
                raise NotFound(
                    f"the model hub has no public repository {ref.owner}/{ref.repo}", kind="model", id=ref.name
                )
            if response.status_code != 200:
                raise _not_understood(ref, f"it answered {response.status_code}")
            body = bytearray()

            async def take(data: bytes) -> None:
                body.extend(data)
                if len(body) > _MAX_LIST_BYTES:
                    raise _not_understood(ref, "its answer is too long")

            await read_body(response, take)
            following = response.links.get("next", {}).get("url")
            return json.loads(body), str(response.url.join(following)) if following else None
    except httpx.HTTPError as error:
        reason = f"the model hub cannot be reached: {str(error) or type(error).__name__}"
        raise ModelUnavailable(
            f"{ref.name} cannot be pulled: {reason}", hint="check the network and model.hub in config.toml",
            model=ref.name, reason=reason,
        ) from error  # fmt: skip
    except (ValueError, RecursionError, httpx.InvalidURL) as error:
        raise _not_understood(ref, "its answer is not JSON") from error


def _not_understood(ref: HubRef, what: str) -> ModelUnavailable:
    reason = f"the model hub does not answer as one: {what}"
    return ModelUnavailable(
        f"{ref.name} cannot be pulled: {reason}", hint="see model.hub in config.toml", model=ref.name, reason=reason
    )
