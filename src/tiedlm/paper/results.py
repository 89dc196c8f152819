"""A published result: what a finished run leaves for others to read, without its weights.

    results/ptb-small-re/seed-0/
    ├── config.json        the whole config
    ├── environment.json   versions, machine, threads, corpus; of the run's own files and folders no path
    ├── metrics.jsonl      the run's journal, thinned to one record an epoch and the events around it
    ├── scores.json        perplexity, nats and words of valid and test, and the protocol
    ├── analysis.json      what was measured of the weights on the test text
    ├── provenance.json    sha256 of weights, texts and the files above; code, device, time, the commands that repeat it
    └── first-training/    for a second training: the same six files of the run whose weights it started from

`provenance.json` lists the sha256 of every other file and of the first training's provenance, and its own field
`checksum` covers that list: one hash stands for the whole result, and is compared at each read. What a result says of
itself is compared once, where it is written (`check_result`). Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, final

from tiedlm.config import differing, from_json
from tiedlm.data.sources import source_of
from tiedlm.errors import ConfigError, RunError, suggestion
from tiedlm.files import is_temp, json_sha256
from tiedlm.paper.published import ROWS, PublishedRow, Words
from tiedlm.paper.statistics import Sample
from tiedlm.recipes import recipe, recipe_names
from tiedlm.runs.config import RunConfig

FORMAT, VERSION = "tiedlm-result", 2
ANALYSIS_FORMAT = 1
CONFIG, ENVIRONMENT, METRICS, SCORES = "config.json", "environment.json", "metrics.jsonl", "scores.json"
ANALYSIS, PROVENANCE, FIRST_TRAINING = "analysis.json", "provenance.json", "first-training"
FILES = (CONFIG, ENVIRONMENT, METRICS, SCORES, ANALYSIS)
"""What the provenance of a first training lists."""
SPLITS = ("valid", "test")
NEAR, TARGET = "nearest by its own vectors", "target"
"""Measures: probability of the words nearest to the one that came, by the model's own vectors; of that one itself."""

MAX_FILE_BYTES = 1 << 26
MAX_PERPLEXITY = 1e9
SAME_TEXT, SAME_MEAN = 1e-4, 1e-5
"""How far two passes over one text may differ in its nats (relative), and a mean from its sums (absolute)."""
NOT_USED = "Nothing of it was used."
RESTORE = f"{NOT_USED} Restore the folder, or publish its run again with --replace."

Value = TypeVar("Value")


@final
@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the speed of a training depends on, its work aside."""

    machine: str
    """Model of the processor, or of the accelerator."""
    precision: str
    threads: int


@final
@dataclass(frozen=True, kw_only=True)
class SplitScore:
    """The score of one text."""

    perplexity: float
    nll_nats: float
    words: int
    unknown: int


@final
@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A measure's sums and counts over contiguous blocks of the text; two models on one text have the same blocks."""

    sums: list[float]
    counts: list[int]


@final
@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What was measured of the weights on the test text."""

    split: str
    protocol: str
    score: SplitScore
    blocks: dict[str, Blocks]
    means: dict[str, float | None]
    """Measure → its mean over the text; None where it has no place in it."""
    next_words: dict[str, Words]
    """Phrase → the most probable next words."""
    own_words: dict[str, SplitScore]
    """Split → its score with the words that the half of a corpus has itself; empty for a whole corpus."""


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """A published result: what tables and figures read."""

    path: Path
    config: RunConfig
    trainings: int
    """1, or 2 where the training started from the weights of a first one."""
    weights_sha256: str
    texts_sha256: dict[str, str]
    commands: list[str]
    protocol: str
    scores: dict[str, SplitScore]
    valid_by_epoch: list[float]
    """Validation perplexity after each epoch of the last training."""
    seconds: dict[Conditions, list[float]]
    """Conditions → seconds of each epoch that ended under them: a training may have moved to another machine."""
    analysis: Analysis
    parent: tuple[str, int, str] | None
    """Recipe, seed and sha256 of the weights that the training started from."""
    first: Result | None
    """The result of that first training."""

    def trainings_in_order(self) -> list[Result]:
        """Return the results of all trainings behind this one, the first training's first."""
        return [*([] if self.first is None else self.first.trainings_in_order()), self]


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the paper, and this project's results for it."""

    name: str
    """The recipe."""
    published: PublishedRow
    results: dict[int, Result]
    """Seed → result, seeds ascending; empty where nothing was run."""

    def trainings(self) -> list[int]:
        """Return after how many trainings there are figures, ascending."""
        return sorted({each.trainings for result in self.results.values() for each in result.trainings_in_order()})

    def after(self, trainings: int) -> dict[int, Result]:
        """Return seed → result after so many trainings: for a later one, the first training's."""
        return {
            seed: each
            for seed, result in self.results.items()
            for each in result.trainings_in_order()
            if each.trainings == trainings
        }

    def perplexity(self, split: str, trainings: int) -> Sample | None:
        """Return the perplexity of `valid` or `test` over seeds after so many trainings; None where nothing was run."""
        by_seed = {seed: result.scores[split].perplexity for seed, result in self.after(trainings).items()}
        return Sample(by_seed) if by_seed else None

    def test(self) -> Sample | None:
        """Return the test perplexity after as many trainings as the paper's figure of the row has."""
        return self.perplexity("test", self.published.trainings)


def read_rows(results: Path) -> dict[str, Row]:
    """Return recipe → row for every row of the paper and every control, with the results below the folder `results`.

    Results of other recipes are checked like these and left out.

    Raises:
        RunError: no such folder; a result that is damaged, edited, or not of its recipe as it is now; two of the same
            weights; several protocols; a folder of results that is no recipe's. The message names it.
    """
    if not results.is_dir():
        raise RunError(f"{results} is not a folder. Name the folder of all results, or publish a run into it.")
    by_recipe: dict[str, dict[int, Result]] = {}
    names = recipe_names()
    for folder in sorted(path for path in results.iterdir() if path.is_dir()):
        if folder.name in names:
            paths = sorted(path for path in folder.iterdir() if not is_temp(path))
            by_recipe[folder.name] = dict(sorted(_read_seed(path, folder.name) for path in paths))
        elif any(folder.glob(f"*/{PROVENANCE}")):
            raise RunError(
                f"{folder} holds results, but there is no recipe of that name.{suggestion(folder.name, names)} A "
                "folder of results has its recipe's name. Move it elsewhere."
            )
    protocols: dict[str, Path] = {}
    weights: dict[str, Path] = {}
    for results_by_seed in by_recipe.values():
        for result in (each for last in results_by_seed.values() for each in last.trainings_in_order()):
            protocols.setdefault(result.protocol, result.path)
            other = weights.setdefault(result.weights_sha256, result.path)
            if other != result.path:
                raise RunError(
                    f"{other} and {result.path} are of the same weights: one run would count twice. Keep one of them."
                )
    if len(protocols) > 1:
        listed = "; ".join(f"{path}: {protocol!r}" for protocol, path in protocols.items())
        raise RunError(
            f"Results were scored under {len(protocols)} protocols, whose figures do not compare: {listed}. Score them "
            f"again with one version of tiedlm and publish them again. {NOT_USED}"
        )
    return {name: Row(name=name, published=row, results=by_recipe.get(name, {})) for name, row in ROWS.items()}


def _read_seed(path: Path, name: str) -> tuple[int, Result]:
    """Return the seed and the result of one folder of a recipe."""
    result = read_result(path)
    seed = result.config.seed
    if path.name != f"seed-{seed}":
        raise RunError(f"{path} is a result of seed {seed}. Name it seed-{seed}, or publish its run again.")
    for each in result.trainings_in_order():
        if each.config.recipe != name:
            raise RunError(f"{each.path} is a result of the recipe {each.config.recipe!r}, not of {name!r}. Move it.")
        try:
            check_is_recipe(each.config)
        except ConfigError as error:
            raise RunError(
                f"{each.path} is not a result of the recipe as it is now. {error} Where the recipe has changed, train "
                "it again."
            ) from error
    return seed, result


def check_is_recipe(config: RunConfig) -> None:
    """Refuse the config of a run that is not its recipe's; seed and runtime may differ.

    Raises:
        ConfigError: there is no such recipe, or it differs; every field is named.
    """
    fields = differing(config, recipe(config.recipe))
    changed = {name: pair for name, pair in fields.items() if name.partition(".")[0] not in ("seed", "runtime")}
    if changed:
        listed = "; ".join(f"{name} is {own!r}, the recipe's {other!r}" for name, (own, other) in changed.items())
        raise ConfigError(
            f"The run is not one of the recipe {config.recipe!r}: {listed}. A result carries the recipe's name, so "
            "only the seed and the runtime may differ. Train the recipe as it is, or give the changed one a name of "
            "its own among the recipes."
        )


def checksum(provenance: Mapping[str, Any]) -> str:
    """Return the sha256 of a provenance without its own field `checksum`."""
    return json_sha256({name: value for name, value in provenance.items() if name != "checksum"})


def read_verified(folder: Path, format: str, version: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the provenance of a folder and the content of each file that it lists, every sha256 compared.

    A folder inside it whose provenance is listed is verified on its own.

    Raises:
        RunError: a file is missing, damaged, edited, or not listed; another format or version. The message names it.
    """
    path = folder / PROVENANCE
    if not path.is_file():
        raise RunError(
            f"{folder} is not a published result: it has no {PROVENANCE}. `tiedlm publish RUN` writes one, and "
            "`tiedlm reproduce figure1` that of Figure 1."
        )
    provenance = parse_json(path, read_file(path))
    if not isinstance(provenance, dict) or provenance.get("format") != format:
        raise RunError(f"{path} is damaged, or belongs to another program: its format must be {format!r}. {RESTORE}")
    if provenance.get("version") != version:
        raise RunError(
            f"{path} is of version {provenance.get('version')!r}, but this tiedlm reads version {version}. Install "
            "the version of tiedlm that wrote it, or publish its run again."
        )
    if provenance.get("checksum") != checksum(provenance):
        raise RunError(f"{path} is damaged or was edited: it does not agree with its own checksum. {RESTORE}")
    listed = get_field(path, provenance, "files", dict)
    contents = {}
    for name, expected in listed.items():
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            raise RunError(f"{path} lists {name!r}, which is not inside the folder. {RESTORE}")
        contents[name] = read_file(folder / name)
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise RunError(f"{folder / name} is damaged or was edited: its sha256 should be {expected}. {RESTORE}")
    inner = {folder / name for name in listed if PurePosixPath(name).name == PROVENANCE}
    for file in sorted(folder.rglob("*")):
        known = file == path or file.relative_to(folder).as_posix() in listed
        if not (known or file.is_dir() or is_temp(file) or any(each.parent in file.parents for each in inner)):
            raise RunError(
                f"{file} is not listed in {PROVENANCE}. {NOT_USED} Make the folder again with the command that wrote "
                "it, or move the file away."
            )
    return provenance, contents


def read_result(folder: Path) -> Result:
    """Return the published result in a folder, every sha256 compared and every field of its type.

    Raises:
        RunError: the folder is missing, damaged, edited, incomplete or of another version.
    """
    provenance, contents = read_verified(folder, FORMAT, VERSION)
    second = f"{FIRST_TRAINING}/{PROVENANCE}" in contents
    first = read_result(folder / FIRST_TRAINING) if second else None
    return parse_result(folder, provenance, contents, first)


def parse_result(
    folder: Path, provenance: Mapping[str, Any], contents: Mapping[str, bytes], first: Result | None
) -> Result:
    """Return a result from the content of its files.

    Raises:
        RunError: a field is missing or of another type; the message names the file and the field.
    """
    missing = [name for name in FILES if name not in contents]
    if missing:
        raise RunError(f"{folder / PROVENANCE} does not list {missing[0]}. {RESTORE}")
    parsed = {name: parse_json(folder / name, contents[name]) for name in FILES if name != METRICS}

    def get(name: str, field: str, kind: type[Value]) -> Value:
        value = provenance if name == PROVENANCE else parsed[name]
        return get_field(folder / name, value, field, kind)

    trainings = get(PROVENANCE, "trainings", int)
    if trainings != 1 + (0 if first is None else first.trainings):
        raise RunError(
            f"{folder / PROVENANCE}: trainings is {trainings}, but its first training is not there. {RESTORE}"
        )
    try:
        config = from_json(RunConfig, parsed[CONFIG])
    except ConfigError as error:
        raise RunError(f"{folder / CONFIG} is not the config of a run: {error} {NOT_USED}") from error
    epochs = _epochs(folder / METRICS, contents[METRICS])
    if [number for number, _, _ in epochs] != list(range(1, config.training.epochs + 1)):
        raise RunError(
            f"{folder / METRICS} must have each of {config.training.epochs} epochs once, in order. {RESTORE}"
        )
    parent = None
    if parsed[ENVIRONMENT].get("parent") if isinstance(parsed[ENVIRONMENT], dict) else None:
        parent = (
            get(ENVIRONMENT, "parent.recipe", str),
            get(ENVIRONMENT, "parent.seed", int),
            get(ENVIRONMENT, "parent.weights_sha256", str),
        )
    with _fields_of(folder / PROVENANCE):
        texts = {str(split): str(digest) for split, digest in get(PROVENANCE, "texts_sha256", dict).items()}
    return Result(
        path=folder,
        config=config,
        trainings=trainings,
        weights_sha256=get(PROVENANCE, "weights_sha256", str),
        texts_sha256=texts,
        commands=[str(command) for command in get(PROVENANCE, "commands", list)],
        protocol=get(SCORES, "protocol", str),
        scores={split: _score(folder / SCORES, parsed[SCORES], split) for split in SPLITS},
        valid_by_epoch=[perplexity for _, perplexity, _ in epochs],
        seconds=_seconds(folder / ENVIRONMENT, config, parsed[ENVIRONMENT], epochs),
        analysis=_analysis(folder / ANALYSIS, parsed[ANALYSIS]),
        parent=parent,
        first=first,
    )


def check_result(result: Result) -> None:
    """Refuse a result whose parts contradict each other, or the published counts of its corpus.

    Raises:
        RunError: what is wrong; the message names the folder.
    """
    fault = next(_faults(result), None)
    if fault is not None:
        raise RunError(f"{result.path}: {fault}. {NOT_USED} Publish its run again with --replace.")


def _faults(result: Result) -> Iterator[str]:
    source, analysis, first = source_of(result.config.corpus.name), result.analysis, result.first
    for split, score in result.scores.items():
        own = math.exp(min(score.nll_nats / max(score.words, 1), 700))
        if not math.isclose(own, score.perplexity, rel_tol=1e-9):
            yield f"the {split} perplexity is {score.perplexity}, but exp(nll_nats / words) is {own}"
        if source is not None and score.words != source.files[split].scored_words:
            words = source.files[split].scored_words
            yield f"{score.words:,} words of {split} were scored, but {source.name} counts {words:,}"
    for split, file in {} if source is None else source.files.items():
        if result.texts_sha256.get(split) != file.sha256:
            yield f"it was made with another {split} text than the published one of {source.name if source else ''}"
    name = (result.config.recipe, result.config.seed)
    origin = None if first is None else (first.config.recipe, first.config.seed, first.weights_sha256)
    if origin != result.parent or (origin is not None and origin[:2] != name):
        yield f"its training started from the weights {result.parent}, but {FIRST_TRAINING} is of {origin}"
    scored = result.scores["test"]
    if (analysis.split, analysis.protocol) != ("test", result.protocol):
        yield f"{ANALYSIS} is of {analysis.split} under {analysis.protocol!r}, the scores under {result.protocol!r}"
    same = math.isclose(analysis.score.nll_nats, scored.nll_nats, rel_tol=SAME_TEXT)
    if analysis.score.words != scored.words or not same:
        yield f"{ANALYSIS} is of {analysis.score}, but the scores are {scored}"
    if len({len(each.sums) for each in analysis.blocks.values()}) > 1:
        yield f"the measures of {ANALYSIS} have different numbers of blocks"
    for measure, each in analysis.blocks.items():
        words, mean = sum(each.counts), analysis.means.get(measure)
        if words > scored.words:
            yield f"the counts of {measure!r} are more words than the text has"
        if not all(value <= count + SAME_MEAN for value, count in zip(each.sums, each.counts, strict=True)):
            yield f"the sums of {measure!r} are not sums of probabilities"
        if (mean is None) != (words == 0) or (mean is not None and not abs(sum(each.sums) / words - mean) < SAME_MEAN):
            yield f"the mean of {measure!r} is {mean}, but its sums over blocks say otherwise"
    for phrase, words in analysis.next_words.items():
        probabilities = [probability for _, probability in words]
        if probabilities != sorted(probabilities, reverse=True):
            yield f"the probabilities of the next words after {phrase!r} do not fall"
    for split, own in analysis.own_words.items():
        whole = result.scores[split]
        if own.words != whole.words or own.unknown <= whole.unknown:
            yield f"the {split} text with its own words is not that of the scores with more words unknown"
        if not math.isclose(own.perplexity, math.exp(min(own.nll_nats / max(own.words, 1), 700)), rel_tol=SAME_TEXT):
            yield f"the perplexity of the {split} text with its own words is not that of its nats"


def read_file(path: Path) -> bytes:
    """Return the content of a regular file, without following a link."""
    try:
        if path.is_symlink() or not path.is_file():
            raise RunError(f"{path} is missing, or is not a regular file. {RESTORE}")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RunError(f"{path} has more than {MAX_FILE_BYTES:,} bytes, which no file of a result has. {RESTORE}")
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}. {NOT_USED}") from error


def parse_json(path: Path, content: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    try:
        return json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not readable as JSON ({error}). {RESTORE}") from error


KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def get_field(path: Path, value: Any, name: str, kind: type[Value]) -> Value:
    """Return a field of JSON, `a.b` inside another one, checked to be of a type; `float` takes whole numbers too."""
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(min(max(value, -(10**300)), 10**300))
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        raise RunError(f"{path}: {name} must be {KINDS[kind]}, but is {str(value)[:200]!r}. {NOT_USED}")
    return value


@contextmanager
def _fields_of(path: Path) -> Iterator[None]:
    """Turn what Python raises where a list or object has another shape into an error that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RunError(f"{path} has no usable {error!r:.200}: it was written by another version. {NOT_USED}") from error


def _score(path: Path, value: Any, name: str) -> SplitScore:
    score = SplitScore(
        perplexity=get_field(path, value, f"{name}.perplexity", float),
        nll_nats=get_field(path, value, f"{name}.nll_nats", float),
        words=get_field(path, value, f"{name}.words", int),
        unknown=get_field(path, value, f"{name}.unknown", int),
    )
    if not 1 <= score.perplexity <= MAX_PERPLEXITY:
        raise RunError(f"{path}: {name}.perplexity is {score.perplexity}, which no text has. {NOT_USED}")
    return score


def _epochs(path: Path, content: bytes) -> list[tuple[int, float, float]]:
    """Return number, validation perplexity and seconds of each epoch."""
    epochs = []
    for line in content.splitlines():
        record = parse_json(path, line)
        if get_field(path, record, "event", str) == "epoch":
            perplexity = get_field(path, record, "valid_perplexity", float)
            if not 1 <= perplexity <= MAX_PERPLEXITY:
                raise RunError(f"{path}: valid_perplexity is {perplexity}, which no text has. {NOT_USED}")
            epochs.append(
                (get_field(path, record, "epoch", int), perplexity, get_field(path, record, "seconds", float))
            )
    return epochs


def _seconds(
    path: Path, config: RunConfig, environment: Any, epochs: list[tuple[int, float, float]]
) -> dict[Conditions, list[float]]:
    """Return conditions → seconds of each epoch that ended under them, in the order of the epochs."""

    def conditions(value: Any, precision: str) -> Conditions:
        device = get_field(path, value, "device", str)
        machine = get_field(path, value, "processor", str) if device == "cpu" else device
        return Conditions(machine=machine, precision=precision, threads=get_field(path, value, "threads", int))

    moves = get_field(path, environment, "moves", list) if "moves" in environment else []
    by_move = [(0, conditions(environment, config.runtime.precision))]
    for move in moves:
        where = get_field(path, move, "environment", dict)
        here = conditions(where, get_field(path, move, "runtime.precision", str))
        by_move.append((get_field(path, move, "epoch", int), here))
    seconds: dict[Conditions, list[float]] = {}
    for number, _, spent in epochs:
        moved = sum(epoch <= number for epoch, _ in by_move[1:])
        seconds.setdefault(by_move[moved][1], []).append(spent)
    return seconds


def _analysis(path: Path, value: Any) -> Analysis:
    if (format := get_field(path, value, "format", int)) != ANALYSIS_FORMAT:
        raise RunError(f"{path} must be of format {ANALYSIS_FORMAT}, but is of {format!r}. {NOT_USED}")
    with _fields_of(path):
        blocks = {}
        for name, each in get_field(path, value, "blocks", dict).items():
            sums, counts = list(map(float, each["sums"])), list(each["counts"])
            if len(sums) != len(counts) or not all(0 <= number < math.inf for number in sums):
                raise ValueError(f"sums of {name}")
            if not all(type(count) is int and count >= 0 for count in counts):
                raise ValueError(f"counts of {name}")
            blocks[name] = Blocks(sums=sums, counts=counts)
        means = {
            name: None if each is None else float(each["mean"])
            for name, each in get_field(path, value, "probability", dict).items()
        }
        next_words = {}
        for entry in get_field(path, value, "next_words", list):
            words = tuple(
                (get_field(path, {"word": w}, "word", str), float(probability)) for w, probability in entry["next"]
            )
            if not all(0 <= probability <= 1 for _, probability in words):
                raise ValueError(f"probabilities after {entry['context']}")
            next_words[get_field(path, entry, "context", str)] = words
        own_words = value.get("own_words", {})
        return Analysis(
            split=get_field(path, value, "split", str),
            protocol=get_field(path, value, "protocol", str),
            score=_score(path, value, "score"),
            blocks=blocks,
            means=means,
            next_words=next_words,
            own_words={split: _score(path, own_words, split) for split in SPLITS} if own_words else {},
        )
