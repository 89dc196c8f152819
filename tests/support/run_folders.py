"""Run folders put together by hand: nothing is trained, and what stands for tensors is any bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tiedlm.config import from_json
from tiedlm.data.text import Vocabulary
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig
from tiedlm.runs.folder import Progress, RunFolder, RunRecord, Session

ENVIRONMENT = {"processor": "a processor", "device": "cpu", "threads": 1}
CORPUS = {
    "name": "ptb",
    "splits": {split: {"text_sha256": "ab" * 32} for split in ("train", "valid", "test")},
    "vocabulary": {"size": 4, "sha256": "ab" * 32},
}
SCORE = {"perplexity": 80.0, "nll_nats": 4.0, "words": 3}
SCORES = {"valid": SCORE, "test": SCORE, "protocol": "every word once"}
VOCABULARY = Vocabulary.from_counts({"<eos>": 3, "the": 2})


def write_run(
    path: Path,
    config: RunConfig | dict[str, Any] | None = None,
    *,
    vocabulary: Vocabulary = VOCABULARY,
    environment: dict[str, Any] = ENVIRONMENT,
    corpus: dict[str, Any] = CORPUS,
    progress: Progress | None = None,
    state: bytes = b"state",
    weights: bytes | None = None,
    events: Iterable[dict[str, Any]] = (),
    **fields: Any,
) -> RunFolder:
    """A run folder of the config (of a recipe, by default); `fields` are further ones of its record, such as scores."""
    whole = from_json(RunConfig, config) if isinstance(config, dict) else config or recipe("ptb-small-re")
    session = Session(epoch=1, window=0, runtime=whole.runtime, environment=environment)
    fields = {"progress": progress or Progress(), "sessions": (session,), "corpus": corpus, **fields}
    return RunFolder.create(path, whole, vocabulary, RunRecord(**fields), state=state, weights=weights, events=events)
