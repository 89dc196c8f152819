"""A finished run → a published result (see `results`), without its weights and without paths of the machine."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tiedlm.config import to_json
from tiedlm.data.sources import source_of
from tiedlm.errors import RunError
from tiedlm.files import disk_errors_as_run_errors, json_bytes, replace_dir
from tiedlm.paper import results as layout
from tiedlm.paper.published import PREDICTIONS
from tiedlm.paper.results import (
    ANALYSIS,
    FILES,
    FIRST_TRAINING,
    NEAR,
    NOT_USED,
    PROVENANCE,
    SPLITS,
    Parent,
    Result,
    check_is_recipe,
    checksum,
    parse_result,
    read_result,
)
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig, runtime_options
from tiedlm.runs.folder import RunFolder

NEIGHBOURS, NEXT_WORDS = 10, 10
DIGITS = 7
"""Decimals of a block's sum: below its error by rounding in float32, and nothing that any figure shows."""
SAME_TEXT = 1e-4
"""How far two passes over one text may differ in its nats (relative)."""


def publish(
    run: Path, results: Path, *, replace: bool = False, data_dir: Path | None = None, device: str = "cpu"
) -> Path:
    """Write the result of a finished run and return its folder, `results/<recipe>/seed-<seed>`.

    The folder is replaced in one step; a run that is published already changes nothing. A second training takes the
    place of its first one's result, and carries it along; where that is not published yet, its run folder must still be
    where it was. The weights are measured in one pass over the test text.

    Args:
        run: the run folder.
        results: the folder of all results.
        replace: take the place of another result of this recipe and seed, or of a damaged one, and measure anew.
        data_dir: where the run's corpus is; None looks in the usual data folder.
        device: what the weights are measured on.

    Raises:
        RunError: a run that is missing, damaged, unfinished or contradicts itself; another result is there already; the
            disk is full or fails.
        ConfigError: the run's config is not that of a recipe, up to seed and runtime; or there is no such device here.
        CorpusError: its corpus is missing or unusable.
    """
    folder = RunFolder.open(run)
    config = _recipe_config(folder)
    weights, parent = _weights_sha256(folder), folder.record.parent
    target = results / config.recipe / f"seed-{config.seed}"
    existing: dict[str, Result] = {}
    if target.exists():
        try:
            existing = {each.weights_sha256: each for each in read_result(target).trainings_in_order()}
        except RunError:
            if not replace:
                raise
    if not replace and existing:
        if weights in existing:
            return target
        if parent is None or parent["weights_sha256"] != list(existing)[-1]:
            raise RunError(
                f"{target} holds the result of another run already. Nothing was changed. Give --replace to put this "
                "one in its place, or another folder with --results."
            )
    contents, _ = _made(folder, existing, data_dir, device)
    with disk_errors_as_run_errors(target):
        replace_dir(target, contents)
    return target


def _made(
    folder: RunFolder, existing: Mapping[str, Result], data_dir: Path | None, device: str
) -> tuple[dict[str, bytes], Result]:
    """Return name → content of a run's result, and the result; a first training is copied from `existing` if there."""
    config, analysis, environment = _recipe_config(folder), measure(folder.path, data_dir, device), folder.environment()
    records = [record for record in folder.journal() if record["event"] != "window"]  # no figure is made of those
    try:
        inner, first = _first_training(folder, environment["parent"], existing, data_dir, device)
        corpus, public = environment["corpus"], dict(environment)
        public.pop("command", None)  # it has paths of this machine, as the parent's folder is one
        if public["parent"] is not None:
            public["parent"] = {name: value for name, value in public["parent"].items() if name != "path"}
        contents = {
            layout.CONFIG: json_bytes(to_json(config)),
            layout.ENVIRONMENT: json_bytes(public),
            layout.METRICS: b"".join(json.dumps(record, allow_nan=False).encode() + b"\n" for record in records),
            layout.SCORES: json_bytes(folder.scores()),
            ANALYSIS: json_bytes(analysis),
            **{f"{FIRST_TRAINING}/{name}": content for name, content in inner.items()},
        }
        listed = [*FILES, *([f"{FIRST_TRAINING}/{PROVENANCE}"] if inner else [])]
        provenance = {
            "format": layout.FORMAT,
            "version": layout.VERSION,
            "trainings": 1 if first is None else first.trainings + 1,
            "weights_sha256": _weights_sha256(folder),
            "texts_sha256": {split: entry["text_sha256"] for split, entry in corpus["splits"].items()},
            "vocabulary_sha256": corpus["vocabulary"]["sha256"],
            "commit": environment["commit"],
            "device": environment["device"],
            "processor": environment["processor"],
            "training_seconds": sum(record["seconds"] for record in records if record["event"] == "epoch"),
            "commands": repeat_commands(config, environment, [] if first is None else first.commands),
            "files": {name: hashlib.sha256(contents[name]).hexdigest() for name in listed},
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder.path} has no field {error}, which a result needs. It was written by another version of tiedlm; "
            "train it again."
        ) from error
    contents[PROVENANCE] = json_bytes(provenance | {"checksum": checksum(provenance)})
    result = parse_result(folder.path, contents, first)
    check_result(result)
    return contents, result


def _first_training(
    folder: RunFolder,
    parent: dict[str, Any] | None,
    existing: Mapping[str, Result],
    data_dir: Path | None,
    device: str,
) -> tuple[dict[str, bytes], Result | None]:
    if parent is None:
        return {}, None
    if (first := existing.get(parent["weights_sha256"])) is not None:
        paths = (path for path in first.path.rglob("*") if path.is_file())
        return {path.relative_to(first.path).as_posix(): path.read_bytes() for path in paths}, first
    try:
        origin = RunFolder.open(parent["path"])
        if _weights_sha256(origin) != parent["weights_sha256"]:
            raise RunError(
                f"{origin.path} has other weights now: it was trained again or further since. Repeat the second "
                "training from it."
            )
        return _made(origin, {}, data_dir, device)
    except RunError as error:
        raise RunError(
            f"{folder.path} started from the weights of another run, whose result belongs to its own: {error}"
        ) from error


def check_result(result: Result) -> None:
    """Raise RunError for a result whose parts contradict each other, or the published counts of its corpus."""
    if (fault := next(_faults(result), None)) is not None:
        raise RunError(f"{result.path}: {fault}. {NOT_USED} Publish its run again with --replace.")


def _faults(result: Result) -> Iterator[str]:
    source, analysis, first = source_of(result.config.corpus.name), result.analysis, result.first
    for split, score in result.scores.items():
        if source is not None and score.words != (words := source.files[split].scored_words):
            yield f"{score.words:,} words of {split} were scored, but {source.name} counts {words:,}"
    for split, file in {} if source is None else source.files.items():
        if result.texts_sha256.get(split) != file.sha256:
            yield f"it was made with another {split} text than the published one of {source.name if source else ''}"
    origin = None if first is None else Parent(first.config.recipe, first.config.seed, first.weights_sha256)
    name = (result.config.recipe, result.config.seed)
    if origin != result.parent or (origin is not None and (origin.recipe, origin.seed) != name):
        yield f"its training started from the weights {result.parent}, but {FIRST_TRAINING} is of {origin}"
    scored = result.scores["test"]
    if (analysis.split, analysis.protocol) != ("test", result.protocol):
        yield f"{ANALYSIS} is of {analysis.split} under {analysis.protocol!r}, the scores under {result.protocol!r}"
    same = math.isclose(analysis.score.nll_nats, scored.nll_nats, rel_tol=SAME_TEXT)
    if analysis.score.words != scored.words or not same:
        yield f"{ANALYSIS} is of {analysis.score}, but the scores are {scored}"


def _recipe_config(folder: RunFolder) -> RunConfig:
    if not (folder.is_finished and folder.has_weights):
        raise RunError(
            f"{folder.path} is not finished: it has no scores yet. Resume it: `tiedlm train --resume {folder.path}`."
        )
    config = folder.config(session=0)
    check_is_recipe(config)
    return config


def _weights_sha256(folder: RunFolder) -> str:
    return hashlib.sha256(folder.read("weights")).hexdigest()


def repeat_commands(config: RunConfig, environment: Mapping[str, Any], before: list[str]) -> list[str]:
    """Return the command lines that repeat a training, one for each training from random weights on.

    They give every field of the runtime that is not the recipe's, and on the CPU, where sums depend on it, the number
    of threads. A training that was resumed with another runtime has a command more for every change of it, whose
    comment says in which epoch to end the one before. `before` has the commands of the training that it started from.
    """

    def with_threads(runtime: dict[str, Any], where: Mapping[str, Any]) -> dict[str, Any]:
        return runtime | ({"threads": where["threads"]} if runtime["device"] == "cpu" else {})

    runtime, usual = with_threads(to_json(config.runtime), environment), to_json(recipe(config.recipe).runtime)
    if runtime["device"] == "cpu":
        del usual["threads"]
    changed = {name: value for name, value in runtime.items() if name not in usual or value != usual[name]}
    words = ["tiedlm", "train", config.recipe, "--seed", str(config.seed), *runtime_options(changed)]
    earlier = [words for words in map(shlex.split, before) if "--run-dir" in words]
    run_dir = f"runs/{config.recipe}-seed-{config.seed}" + (f"-training-{len(earlier) + 1}" if earlier else "")
    words += ["--run-dir", run_dir]
    if earlier:
        words += ["--from", earlier[-1][earlier[-1].index("--run-dir") + 1]]
    commands = [*before, shlex.join(words)]
    for move in environment.get("moves", []):
        here = with_threads(move["runtime"], move["environment"])
        changed = {name: value for name, value in here.items() if value != runtime[name]}
        if changed:  # another machine or other code alone have no option
            command = shlex.join(["tiedlm", "train", "--resume", run_dir, *runtime_options(changed)])
            commands.append(f"{command}  # in epoch {move['epoch']}")
        runtime = here
    return commands


def measure(run: Path, data_dir: Path | None = None, device: str = "cpu") -> dict[str, Any]:
    """Return the content of `analysis.json` of a run: what is measured of its weights, since they are not published.

    This is the report of `tiedlm analyze`, with the sums behind its means block by block, so that two models can be
    compared later without their weights; the next words after the phrases of the paper's Table 4, each read after
    `<eos>` alone; and for a part of a corpus the scores of valid and test text with the part's own words. Raises as
    `publish`, and ArgumentError for a table that is not finite or spans too few directions.
    """
    from tiedlm.data.sources import HALVES
    from tiedlm.evaluation.analysis import analyze, nearest_words
    from tiedlm.evaluation.next_words import next_words, unknown_words
    from tiedlm.evaluation.perplexity import PROTOCOL
    from tiedlm.evaluation.scoring import unseen_as_unk_score
    from tiedlm.runs.load import load_run, run_corpus

    loaded = load_run(run, device=device)
    corpus = run_corpus(loaded.folder, data_dir)
    neighbours = min(NEIGHBOURS, len(loaded.vocabulary) - 1)
    near = {NEAR: nearest_words(loaded.model.table, neighbours)}
    analysis = analyze(loaded.model, loaded.vocabulary, corpus.splits["test"].ids, near)
    own_words = {
        split: unseen_as_unk_score(loaded.model, corpus, split).to_json() for split in SPLITS if corpus.name in HALVES
    }
    after, count = [], min(NEXT_WORDS, len(loaded.vocabulary))
    for prediction in PREDICTIONS:
        words = prediction.phrase.split()
        best = next_words(loaded.model, loaded.vocabulary, words, count)
        after.append(
            {
                "context": prediction.phrase,
                "unknown": unknown_words(loaded.vocabulary, words),
                "next": [[word, round(probability, DIGITS)] for word, probability in best],
            }
        )
    return {
        "format": layout.ANALYSIS_FORMAT,
        "split": "test",
        "protocol": PROTOCOL,
        "neighbours": neighbours,
        **analysis.to_json(),
        **({"own_words": own_words} if own_words else {}),
        "blocks": {
            name: {"sums": [round(value, DIGITS) for value in each.sums], "counts": each.counts}
            for name, each in analysis.mass.by_block().items()
        },
        "next_words": after,
    }
