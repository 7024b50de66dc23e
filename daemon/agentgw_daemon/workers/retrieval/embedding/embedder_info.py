"""Facts about an embedder, once: `python -m agentgw_daemon.workers.retrieval.embedding.embedder_info PATH OUT`.

PATH is a sentence-transformers folder, whose GGUF conversion is written to OUT if it can have one, or a GGUF file.
Prints one JSON object: `{"ok": true, ...}` with the fields of `EmbedderInfo`, or `{"ok": false, "reason": ...}`. Runs
as a process of its own, because the files are a stranger's; it limits its own memory and time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agentgw_daemon.workers.llama import gguf
from agentgw_daemon.workers.llama.gguf_head import UnusableModelFile

# A longer window than this takes gigabytes of buffers and no chunk is so long.
MAX_TOKENS: Final = 2048
_MAX_JSON_BYTES: Final = 64 << 20
_BASE_BYTES: Final = 2 << 30
_POOLING_FLAGS: Final = {
    "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len", "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "last",
}  # fmt: skip
_GGUF_POOLING: Final = {1: "mean", 2: "cls", 3: "last"}
# Models that count the places of tokens from behind the padding's number on.
_PLACES_AFTER_PADDING: Final = {
    "roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer", "xmod", "data2vec-text", "ibert",
    "roberta-prelayernorm", "luke",
}  # fmt: skip
# As `rag.query_prompt` and `rag.document_prompt` may have.
_MAX_PROMPT_CHARACTERS: Final = 512
# The library's, in the order in which its `encode_query` and `encode_document` look for them.
_QUERY_PROMPTS: Final = ("query",)
_DOCUMENT_PROMPTS: Final = ("document", "passage", "corpus")
_MARKS: Final = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}


class NotAnEmbedder(ValueError):
    """The files are no embedder; the text says why, for a person."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderInfo:
    """Facts about an embedder. `has_conversion`: its GGUF conversion was written; else `no_conversion` says why
    not.

    `id` is that of the vectors without a prompt: it changes with the weights, the tokens and the pooling, and not with
    the engine. The prompts are those that the folder says.
    """

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


def of_folder(folder: Path, conversion: Path) -> EmbedderInfo:
    """The info of a sentence-transformers folder; writes its GGUF conversion. Raises NotAnEmbedder."""
    config = _object(folder / "config.json")
    tokeniser = _object(folder / "tokenizer.json")
    pooling, plain, dim, counts_prompt = _modules(folder, config)
    query_prompt, document_prompt, default_prompt = _prompts(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise NotAnEmbedder("has no weights in safetensors")
    sha256 = _digest(weights)
    max_tokens = _max_tokens(folder, config)
    made = hashlib.sha256()
    for part in (sha256, _digest([folder / "tokenizer.json"]), pooling, str(max_tokens), str(plain)):
        made.update(part.encode() + b"\0")
    if default_prompt:
        # Earlier versions put it before all texts: those vectors are others.
        made.update(b"default prompt not used\0")
    reason = _why_not_converted(
        config, tokeniser, pooling=pooling if plain else "", counts_prompt=counts_prompt, weights=weights
    )
    if not reason:
        reason = _write_conversion(folder, conversion, config, pooling, max_tokens)
    return EmbedderInfo(
        id=made.hexdigest()[:32], sha256=sha256, architecture=str(config.get("model_type")), dim=dim,
        max_tokens=max_tokens, pooling=pooling, has_conversion=not reason, no_conversion=reason,
        query_prompt=query_prompt, document_prompt=document_prompt,
    )  # fmt: skip


def of_file(path: Path) -> EmbedderInfo:
    """The info of a GGUF file. Raises NotAnEmbedder."""
    try:
        header = gguf.inspect(path)
    except UnusableModelFile as refusal:
        raise NotAnEmbedder(str(refusal)) from refusal

    def number(key: str) -> int | None:
        value = header.metadata.get(f"{header.architecture}.{key}")
        return value if isinstance(value, int) and value > 0 else None

    dim = number("embedding_length_out") or number("embedding_length")
    if dim is None:
        raise NotAnEmbedder("does not say its dimensions")
    kind = number("pooling_type")
    if kind is not None and kind not in _GGUF_POOLING:
        raise NotAnEmbedder("ranks pairs of texts instead of embedding one")
    pooling = _GGUF_POOLING[kind or 1]
    sha256 = _digest([path])
    made = hashlib.sha256(f"{sha256}\0{pooling}".encode()).hexdigest()[:32]
    return EmbedderInfo(
        id=made, sha256=sha256, architecture=header.architecture, dim=dim, pooling=pooling,
        max_tokens=min(header.n_ctx_train_tokens or 512, MAX_TOKENS),
    )  # fmt: skip


def _prompts(folder: Path) -> tuple[str, str, str]:
    """The prompts before queries and documents, and the one before texts that are neither. A prompt that stands there
    empty is one, as the library has it.
    """
    path = folder / "config_sentence_transformers.json"
    said = _object(path) if path.exists() else {}
    prompts = said.get("prompts") or {}
    if not isinstance(prompts, dict):
        raise NotAnEmbedder("has prompts that are no object")

    def first(names: Sequence[str]) -> str:
        for name in names:
            prompt = prompts.get(name)
            if prompt is None:
                continue
            if not isinstance(prompt, str):
                raise NotAnEmbedder(f"has a {name} prompt that is no text")
            if len(prompt) > _MAX_PROMPT_CHARACTERS:
                raise NotAnEmbedder(f"has a {name} prompt of more than {_MAX_PROMPT_CHARACTERS} characters")
            return prompt.encode("utf-8", "replace").decode("utf-8")
        return ""

    default = said.get("default_prompt_name")
    found = prompts.get(default) if isinstance(default, str) else None
    return first(_QUERY_PROMPTS), first(_DOCUMENT_PROMPTS), found if isinstance(found, str) else ""


def _modules(folder: Path, config: Mapping[str, Any]) -> tuple[str, bool, int, bool]:
    """The pooling, whether nothing but it and normalising comes after the transformer, the dimensions, and whether the
    tokens of a prompt are pooled too.
    """
    modules = _json(folder / "modules.json")
    if not isinstance(modules, list):
        raise NotAnEmbedder("has a modules.json that is no list")
    pooling, plain, dim, counts_prompt = "", True, _positive(config, "hidden_size"), True
    for at, module in enumerate(modules):
        kind, path = str(module.get("type")), str(module.get("path", ""))
        # Modules that the library would import: its own classes only.
        name = kind.rpartition(".")[2]
        if not kind.startswith("sentence_transformers.") or not name.isidentifier():
            raise NotAnEmbedder(f"wants the code {kind[:80]}, which is not of sentence-transformers")
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise NotAnEmbedder("has a module outside of its folder")
        if name == "Pooling":
            said = _object(folder / path / "config.json")
            pooling, counts_prompt = _pooling(said), said.get("include_prompt", True) is True
        elif name == "Dense":
            dim, plain = _positive(_object(folder / path / "config.json"), "out_features"), False
        elif name != "Normalize" and not (name == "Transformer" and at == 0):
            plain = False
    if not pooling:
        raise NotAnEmbedder("has no pooling layer")
    return pooling, plain, dim, counts_prompt


def _pooling(config: Mapping[str, Any]) -> str:
    found = [name for flag, name in _POOLING_FLAGS.items() if config.get(flag)]
    if isinstance(mode := config.get("pooling_mode"), str):
        found.append(mode)
    return "+".join(found)


def _max_tokens(folder: Path, config: Mapping[str, Any]) -> int:
    """The window: what the folder says of it, and as many tokens as the model has places for."""
    limit = _said(folder / "sentence_bert_config.json", "max_seq_length")
    if limit is None:
        # Newer versions of the library leave it to the tokeniser.
        limit = _said(folder / "tokenizer_config.json", "model_max_length")
    places = config.get("max_position_embeddings", 512)
    if isinstance(places, int) and str(config.get("model_type")) in _PLACES_AFTER_PADDING:
        padding = config.get("pad_token_id")
        places -= (padding if isinstance(padding, int) else 1) + 1
    return min(value for value in (limit, places, MAX_TOKENS) if isinstance(value, int) and value > 2)


def _said(path: Path, key: str) -> object:
    return _object(path).get(key) if path.exists() else None


def _why_not_converted(
    config: Mapping[str, Any], tokeniser: Mapping[str, Any], *, pooling: str, counts_prompt: bool,
    weights: Sequence[Path],
) -> str:  # fmt: skip
    """The reason why llama.cpp could not compute the same vectors; empty if it can."""
    normaliser, model = tokeniser.get("normalizer") or {}, tokeniser.get("model") or {}
    uncased = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}
    checks = {
        "its architecture is not BERT": config.get("model_type") == "bert",
        "its activation is not GELU": config.get("hidden_act") == "gelu",
        "its positions are not absolute": config.get("position_embedding_type", "absolute") == "absolute",
        "its pooling is not mean or cls alone": pooling in ("mean", "cls"),
        "its weights are in several files": [path.name for path in weights] == ["model.safetensors"],
        "its tokens are not those of an uncased BERT": uncased.items() <= normaliser.items()
        and normaliser.get("strip_accents") in (None, True)
        and (tokeniser.get("pre_tokenizer") or {}).get("type") == "BertPreTokenizer"
        and (model.get("type"), model.get("continuing_subword_prefix"), model.get("unk_token"))
        == ("WordPiece", "##", "[UNK]")
        and model.get("max_input_chars_per_word") == 100
        and {token.get("content") for token in tokeniser.get("added_tokens", [])} <= _MARKS,
        "its pooling leaves the prompt out": counts_prompt,
    }
    return next((reason for reason, fits in checks.items() if not fits), "")


def _write_conversion(folder: Path, conversion: Path, config: dict[str, Any], pooling: str, max_tokens: int) -> str:
    """Write the conversion; gives the reason where it cannot be written, else nothing."""
    from agentgw_daemon.workers.retrieval.embedding.gguf_conversion import make
    from agentgw_daemon.workers.retrieval.embedding.safetensors import BadWeights, Weights

    try:
        weights = Weights(folder / "model.safetensors")
        make(folder, conversion, weights=weights, config=config, pooling=pooling, max_tokens=max_tokens)
        gguf.inspect(conversion)
    except (BadWeights, KeyError, TypeError, ValueError) as error:
        return f"its weights do not fit its configuration: {error}"
    return ""


def _digest(paths: Sequence[Path]) -> str:
    """The digest: of one file its own; of several, that of their digests."""
    each = []
    for path in paths:
        with path.open("rb") as file:
            each.append(hashlib.file_digest(file, "sha256").hexdigest())
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise NotAnEmbedder(f"has a {path.name} that is too large")
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotAnEmbedder(f"has no {path.name}: it is no sentence-transformers folder") from None
    except (ValueError, RecursionError) as error:
        raise NotAnEmbedder(f"has a {path.name} that is no JSON") from error


def _object(path: Path) -> dict[str, Any]:
    found = _json(path)
    if not isinstance(found, dict):
        raise NotAnEmbedder(f"has a {path.name} that is no object")
    return found


def _positive(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or not 0 < value <= 1 << 16:
        raise NotAnEmbedder(f"does not say its {key}")
    return value


def _limit_memory(path: Path) -> None:
    """Limits memory to what honest weights of this size take: mapped, as float32, and packed again, beside
    Python itself.
    """
    size = sum(one.stat().st_size for one in (path.glob("*.safetensors") if path.is_dir() else [path]))
    if sys.platform != "darwin":  # there it is refused
        resource.setrlimit(resource.RLIMIT_AS, (_BASE_BYTES + 4 * size,) * 2)


def main(argv: Sequence[str]) -> int:
    """Print the info of one embedder as JSON; 0 if it is usable."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (600, 600))
    path, conversion = Path(argv[0]), Path(argv[1])
    try:
        _limit_memory(path)
        info = of_folder(path, conversion) if path.is_dir() else of_file(path)
    except NotAnEmbedder as refusal:
        print(json.dumps({"ok": False, "reason": str(refusal)}))
        return 1
    except OSError as error:
        print(json.dumps({"ok": False, "reason": f"cannot be read: {(error.strerror or str(error)).lower()}"}))
        return 1
    except MemoryError:
        print(json.dumps({"ok": False, "reason": "does not fit in memory"}))
        return 1
    print(json.dumps({"ok": True, **dataclasses.asdict(info)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
