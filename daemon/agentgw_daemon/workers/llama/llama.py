"""A thin typed layer over llama.cpp: bindings, log, cores and model.

llama-cpp-python's low-level functions are the C ones by name; every pointer of theirs stays here and in `context`.
Nothing is freed by the garbage collector: a context and its samplers are closed before their model.
"""

from __future__ import annotations

import collections
import ctypes
import importlib.util
import os
import re
import sys
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from llama_cpp import llama_cpp as _declared

    api = _declared

# ggml.h's ggml_log_level
_WARN: Final = 3
_ERROR: Final = 4
_CONTINUED: Final = 5
_CONTROL: Final = 1 << 3 | 1 << 0  # LLAMA_TOKEN_ATTR_CONTROL, LLAMA_TOKEN_ATTR_UNKNOWN
_DEFINED: Final = 1 << 4  # LLAMA_TOKEN_ATTR_USER_DEFINED


class EngineError(Exception):
    """llama.cpp refused or failed; the text is its own last error where it gave one."""


def _bindings() -> Any:
    """llama_cpp.llama_cpp without llama_cpp itself, whose `__init__` brings numpy and the high-level API: 150 ms."""
    if "llama_cpp" not in sys.modules:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError("llama-cpp-python is not installed")
        package = types.ModuleType("llama_cpp")
        package.__path__ = list(spec.submodule_search_locations)
        package.__file__ = spec.origin
        sys.modules["llama_cpp"] = package
    return importlib.import_module("llama_cpp.llama_cpp")


# Else a failed assertion in ggml forks a debugger to print a backtrace.
os.environ["GGML_NO_BACKTRACE"] = "1"
if not TYPE_CHECKING:
    api = _bindings()


def version() -> str:
    """The bindings' version, read from their source because their package was not run."""
    origin = sys.modules["llama_cpp"].__file__
    found = re.search(r'^__version__ = "([^"]+)"', Path(origin).read_text(encoding="utf-8"), re.M) if origin else None
    return f"llama-cpp-python {found[1] if found else 'unknown'}"


def build() -> str:
    """The features that the library was built for and finds in this processor; another build may want other
    settings.
    """
    text: bytes = api.llama_print_system_info()
    return f"{version()} {text.decode('utf-8', 'replace')}"


def offloads() -> bool:
    """Tells whether this build can have layers on a GPU."""
    return bool(api.llama_supports_gpu_offload())


class LlamaLog:
    """llama.cpp's warnings and errors, to stderr; the last errors are kept to explain a failure."""

    def __init__(self) -> None:
        self.errors: collections.deque[str] = collections.deque(maxlen=4)
        # While a batch is being aborted: llama.cpp reports that as four errors.
        self.muted = False
        self._level = 0
        # Held for as long as the library is loaded: llama.cpp would call a freed closure.
        self._callback = api.llama_log_callback(self._take)

    def install(self) -> None:
        """Be the one that llama.cpp tells."""
        api.llama_log_set(self._callback, ctypes.c_void_p(None))

    def _take(self, level: int, text: bytes | None, _data: object) -> None:
        if level != _CONTINUED:
            self._level = level
        if self.muted or self._level < _WARN or self._level > _ERROR or not text:
            return
        line = text.decode("utf-8", "replace").rstrip("\n")
        if "possible training context overflow" in line:
            return  # the cells are those of all slots; no request gets more of them than the model's context
        if self._level == _ERROR:
            self.errors.append(line)
        print(line, file=sys.stderr, flush=True)

    def failure(self, what: str) -> EngineError:
        """The error to raise now, with the first thing llama.cpp said about it."""
        said = self.errors[0].split(": ", 1)[-1] if self.errors else "no reason given"
        self.errors.clear()
        return EngineError(f"{what}: {said}")


log: Final = LlamaLog()
log.install()
api.llama_backend_init()
# The cells that a context can have at most.
MAX_SEQUENCES: Final = int(api.llama_max_parallel_sequences())


def physical_cores() -> int:
    """Cores this process may use, hyper-threads of one core counted once."""
    usable = usable_cpus()
    cores = set()
    for cpu in usable:
        try:
            siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
        except OSError:
            return len(usable)
        cores.add(siblings)
    return len(cores)


def usable_cpus() -> set[int]:
    """The processors this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return set(affinity(0)) if affinity else set(range(os.cpu_count() or 1))


def safe_model_params() -> Any:
    """llama.cpp's own defaults, without AMX.

    GCC 12, Debian 12's, may move the stores that fill a tile's configuration behind the instruction that loads it:
    then the first prompt ends the process. Only the buffers laid out for AMX make llama.cpp use it.
    """
    params = api.llama_model_default_params()
    params.use_extra_bufts = b"AMX_INT8 = 1" not in api.llama_print_system_info()
    return params


class LlamaModel:
    """Weights, mapped from the file, or from all of a split model, and vocabulary."""

    def __init__(self, path: str, *, others: Sequence[str] = (), gpu_layers: int = 0) -> None:
        params = safe_model_params()
        params.n_gpu_layers = gpu_layers
        params.load_mode = api.LLAMA_LOAD_MODE_MMAP
        log.errors.clear()
        # Named one by one, split files may have any names, as those have that symbolic links lead to.
        paths = [os.fsencode(one) for one in (path, *others)]
        handle = (
            api.llama_model_load_from_splits((ctypes.c_char_p * len(paths))(*paths), len(paths), params)
            if others
            else api.llama_model_load_from_file(paths[0], params)
        )
        if not handle:
            raise log.failure("llama.cpp cannot load it")
        self.handle: Final = handle
        self.gpu_layers: Final = gpu_layers
        self.vocabulary: Final = api.llama_model_get_vocab(handle)
        self.n_vocabulary: Final = int(api.llama_vocab_n_tokens(self.vocabulary))
        self.n_ctx_train_tokens: Final = int(api.llama_model_n_ctx_train(handle))
        self._bos = int(api.llama_vocab_bos(self.vocabulary)) if api.llama_vocab_get_add_bos(self.vocabulary) else -1
        self._pieces: dict[int, bytes | None] = {}
        self._special_pieces: dict[int, bytes | None] = {}
        self._buffer = ctypes.create_string_buffer(256)

    def close(self) -> None:
        """Free it; its contexts must be closed already."""
        api.llama_model_free(self.handle)

    @property
    def description(self) -> str:
        """Architecture, size and quantisation in a few words."""
        buffer = ctypes.create_string_buffer(256)
        api.llama_model_desc(self.handle, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    @property
    def chat_template(self) -> str | None:
        """The template the file carries, if any."""
        text: bytes | None = api.llama_model_chat_template(self.handle, None)
        return text.decode("utf-8", "replace") if text else None

    @property
    def answers_text(self) -> bool:
        """Tells whether one decode step after another makes text: no encoder to run first, and a vocabulary."""
        vocabulary = api.llama_vocab_type(self.vocabulary) != api.LLAMA_VOCAB_TYPE_NONE
        return vocabulary and api.llama_model_has_decoder(self.handle) and not api.llama_model_has_encoder(self.handle)

    @property
    def n_params(self) -> int:
        """The number of its weights."""
        return int(api.llama_model_n_params(self.handle))

    @property
    def can_share(self) -> bool:
        """Tells whether what it remembers of a text can be cut at any token and shared: no running state, no
        window.
        """
        handle = self.handle
        stateful = api.llama_model_is_recurrent(handle) or api.llama_model_is_hybrid(handle)
        return not stateful and api.llama_model_n_swa(handle) == 0

    @property
    def kv_bytes_per_token(self) -> int:
        """Estimate of what a token takes in the KV cache, as 16-bit numbers: a key and a value a head and layer."""
        heads = max(int(api.llama_model_n_head(self.handle)), 1)
        width = int(api.llama_model_n_embd(self.handle)) // heads
        key = self._number("attention.key_length") or width
        value = self._number("attention.value_length") or width
        return 2 * int(api.llama_model_n_layer(self.handle) * api.llama_model_n_head_kv(self.handle)) * (key + value)

    @property
    def n_ctx_original_tokens(self) -> int:
        """The context before it was stretched; 0 if it was not. A longer one makes llama.cpp compute differently."""
        return self._number("rope.scaling.original_context_length")

    def _number(self, key: str) -> int:
        """A number of the file's metadata, of those that stand under its architecture's name; 0 if there is none."""
        return self.number(f"{self._metadata('general.architecture')}.{key}")

    def number(self, key: str) -> int:
        """A number of the file's metadata by its whole key; 0 if there is none."""
        text = self._metadata(key)
        return int(text) if text.isdecimal() else 0

    def _metadata(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(256)
        length = api.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length >= 0 else ""

    def special_text(self, name: str) -> str:
        """The text of the `bos` or `eos` token; empty if there is none."""
        token = {"bos": api.llama_vocab_bos, "eos": api.llama_vocab_eos}[name](self.vocabulary)
        return self._text(token) if token >= 0 else ""

    def control_texts(self) -> frozenset[str]:
        """The texts that the tokeniser turns into control tokens.

        With them those that the model defines and its template writes, such as `<tool_call>`: they lead it as much. Not
        the marks of reasoning, by which templates find it in what the model said before.
        """
        attributes, vocabulary, template = api.llama_vocab_get_attr, self.vocabulary, self.chat_template or ""
        found = set()
        for token in range(self.n_vocabulary):
            kind = attributes(vocabulary, token)
            if kind & _CONTROL or (kind & _DEFINED and _leads(self._text(token), template)):
                found.add(self._text(token))
        return frozenset(filter(None, found))

    def _text(self, token: int) -> str:
        text: bytes | None = api.llama_vocab_get_text(self.vocabulary, token)
        return text.decode("utf-8", "replace") if text else ""

    def tokenise(self, fragments: Iterable[str]) -> list[int]:
        """The tokens of a prompt: control tokens are read within a fragment, never across two. One BOS at most."""
        tokens: list[int] = []
        for fragment in fragments:
            text = fragment.encode("utf-8", "replace")
            room = len(text) + 8  # a token has at least one byte; some vocabularies put a space before
            buffer = (ctypes.c_int32 * room)()
            count = api.llama_tokenize(self.vocabulary, text, len(text), buffer, room, False, True)
            if count < 0:
                raise EngineError("the prompt cannot be tokenised")
            tokens += buffer[:count]
        if self._bos >= 0 and tokens[:1] != [self._bos]:
            tokens.insert(0, self._bos)
        return tokens

    def piece(self, token: int, *, special: bool = False) -> bytes | None:
        """The token's bytes, or None if it ends the answer. Control tokens have none, unless they are wanted too."""
        pieces = self._special_pieces if special else self._pieces
        try:
            return pieces[token]
        except KeyError:
            piece = pieces[token] = self._make_piece(token, special)
            return piece

    def _make_piece(self, token: int, special: bool) -> bytes | None:
        if api.llama_vocab_is_eog(self.vocabulary, token):
            return None
        length = api.llama_token_to_piece(self.vocabulary, token, self._buffer, len(self._buffer), 0, special)
        if length < 0:
            self._buffer = ctypes.create_string_buffer(-length)
            length = api.llama_token_to_piece(self.vocabulary, token, self._buffer, len(self._buffer), 0, special)
        return self._buffer.raw[:length]


def _leads(text: str, template: str) -> bool:
    """Tells whether a defined token is a marker of the template, and not line breaks or words that it writes too."""
    return text[:1] in ("<", "[") and len(text) > 1 and "think" not in text.lower() and text in template
