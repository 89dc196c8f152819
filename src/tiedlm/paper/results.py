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
itself is compared once, where it is written (`publish.check_result`). Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, final, get_args, get_origin, get_type_hints

from tiedlm.config import differing, from_json
from tiedlm.errors import ConfigError, RunError, suggestion
from tiedlm.files import is_temp, json_sha256, open_regular
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
NEAR = "nearest by its own vectors"
"""Measure: probability of the words nearest to the one that came, by the model's own vectors."""

MAX_PERPLEXITY = 1e9
NOT_USED = "Nothing of it was used."
RESTORE = f"{NOT_USED} Restore the folder, or publish its run again with --replace."
KINDS = {int: "a whole number", float: "a finite number", str: "a text", list: "a list", dict: "an object"}

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
@dataclass(frozen=True)
class SplitScore:
    perplexity: float
    nll_nats: float
    words: int
    unknown: int

    def __post_init__(self) -> None:
        if not 1 <= self.perplexity <= MAX_PERPLEXITY:
            raise ValueError(f"perplexity is {self.perplexity}, which no text has")


@final
@dataclass(frozen=True)
class Blocks:
    """Sums and counts over contiguous blocks of the text; two models on one text have the same blocks."""

    sums: list[float]
    counts: list[int]

    def __post_init__(self) -> None:
        if len(self.sums) != len(self.counts) or min((*self.sums, *self.counts), default=0) < 0:
            raise ValueError("sums and counts must be equally many, and not below 0")


@final
@dataclass(frozen=True)
class NextWords:
    context: str
    next: Words


@final
@dataclass(frozen=True)
class Analysis:
    """What was measured of the weights on the test text."""

    split: str
    protocol: str
    score: SplitScore
    blocks: dict[str, Blocks]
    """Measure → its blocks."""
    next_words: list[NextWords]
    own_words: dict[str, SplitScore]
    """Split → its score with the words that the half of a corpus has itself; empty for a whole corpus."""

    def next_words_after(self, phrase: str) -> Words:
        return next((each.next for each in self.next_words if each.context == phrase), ())

    def __post_init__(self) -> None:
        if self.own_words and set(self.own_words) != set(SPLITS):
            raise ValueError(f"own_words must be of {' and '.join(SPLITS)}")


@final
@dataclass(frozen=True)
class Parent:
    """Of the run whose weights a training started from."""

    recipe: str
    seed: int
    weights_sha256: str


@final
@dataclass(frozen=True)
class Epoch:
    epoch: int
    valid_perplexity: float
    seconds: float

    def __post_init__(self) -> None:
        if not 1 <= self.valid_perplexity <= MAX_PERPLEXITY:
            raise ValueError(f"valid_perplexity is {self.valid_perplexity}, which no text has")


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """A published result: what tables and figures read."""

    path: Path
    config: RunConfig
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
    parent: Parent | None
    first: Result | None
    """The result of the first training, whose weights this one started from."""

    @property
    def trainings(self) -> int:
        return 1 if self.first is None else self.first.trainings + 1

    def trainings_in_order(self) -> list[Result]:
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
        """Return after how many trainings there are figures."""
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
            read = [_read_seed(path, folder.name) for path in sorted(folder.iterdir()) if not is_temp(path)]
            by_recipe[folder.name] = dict(sorted((result.config.seed, result) for result in read))
        elif any(folder.glob(f"*/{PROVENANCE}")):
            raise RunError(
                f"{folder} holds results, but there is no recipe of that name.{suggestion(folder.name, names)} A "
                "folder of results has its recipe's name. Move it elsewhere."
            )
    protocols: dict[str, Path] = {}
    weights: dict[str, Path] = {}
    last = [result for by_seed in by_recipe.values() for result in by_seed.values()]
    for result in (each for each_last in last for each in each_last.trainings_in_order()):
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


def _read_seed(path: Path, name: str) -> Result:
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
    return result


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


def read_verified(folder: Path, format: str, version: int) -> dict[str, bytes]:
    """Return name → content of the provenance of a folder and of each file that it lists, every sha256 compared.

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
    contents = {PROVENANCE: read_file(path)}
    provenance = parse_object(path, contents[PROVENANCE])
    if provenance.get("format") != format:
        raise RunError(f"{path} is damaged, or belongs to another program: its format must be {format!r}. {RESTORE}")
    if provenance.get("version") != version:
        raise RunError(
            f"{path} is of version {provenance.get('version')!r}, but this tiedlm reads version {version}. Install "
            "the version of tiedlm that wrote it, or publish its run again."
        )
    if provenance.get("checksum") != checksum(provenance):
        raise RunError(f"{path} is damaged or was edited: it does not agree with its own checksum. {RESTORE}")
    listed = get_field(path, provenance, "files", dict[str, str])
    for name, expected in listed.items():
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            raise RunError(f"{path} is damaged: it lists {name!r}, which is outside its folder. {RESTORE}")
        contents[name] = read_file(folder / name)
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise RunError(f"{folder / name} is damaged or was edited: its sha256 should be {expected}. {RESTORE}")
    inner = [(folder / name).parent for name in listed if Path(name).name == PROVENANCE]
    for file in sorted(folder.rglob("*")):
        known = file.is_dir() or is_temp(file) or file.relative_to(folder).as_posix() in contents
        if not known and not any(each in file.parents for each in inner):
            raise RunError(
                f"{file} is not listed in {PROVENANCE}. {NOT_USED} Make the folder again with the command that wrote "
                "it, or move the file away."
            )
    return contents


def read_result(folder: Path) -> Result:
    """Return the published result in a folder, verified.

    Raises:
        RunError: the folder is missing, damaged, edited, incomplete or of another version.
    """
    contents = read_verified(folder, FORMAT, VERSION)
    second = f"{FIRST_TRAINING}/{PROVENANCE}" in contents
    return parse_result(folder, contents, read_result(folder / FIRST_TRAINING) if second else None)


def parse_result(folder: Path, contents: Mapping[str, bytes], first: Result | None) -> Result:
    """Return a result from the content of its files; RunError names the file and field that is missing or wrong."""
    missing = [name for name in FILES if name not in contents]
    if missing:
        raise RunError(f"{folder / PROVENANCE} does not list {missing[0]}. {RESTORE}")
    names = (CONFIG, ENVIRONMENT, SCORES, ANALYSIS, PROVENANCE)
    values = {name: parse_object(folder / name, contents[name]) for name in names}

    def get(name: str, field: str, kind: type[Value]) -> Value:
        return get_field(folder / name, values[name], field, kind)

    try:
        config = from_json(RunConfig, values[CONFIG])
    except ConfigError as error:
        raise RunError(f"{folder / CONFIG} is not the config of a run: {error} {NOT_USED}") from error
    metrics = folder / METRICS
    records = [parse_object(metrics, line) for line in contents[METRICS].splitlines()]
    epochs = [as_type(metrics, "", record, Epoch) for record in records if record.get("event") == "epoch"]
    if [each.epoch for each in epochs] != list(range(1, config.training.epochs + 1)):
        raise RunError(f"{metrics} must have each of {config.training.epochs} epochs once, in order. {RESTORE}")
    if (format := get(ANALYSIS, "format", int)) != ANALYSIS_FORMAT:
        raise RunError(f"{folder / ANALYSIS} must be of format {ANALYSIS_FORMAT}, but is of {format!r}. {NOT_USED}")
    return Result(
        path=folder,
        config=config,
        weights_sha256=get(PROVENANCE, "weights_sha256", str),
        texts_sha256=get(PROVENANCE, "texts_sha256", dict[str, str]),
        commands=get(PROVENANCE, "commands", list[str]),
        protocol=get(SCORES, "protocol", str),
        scores={split: get(SCORES, split, SplitScore) for split in SPLITS},
        valid_by_epoch=[each.valid_perplexity for each in epochs],
        seconds=_seconds(folder / ENVIRONMENT, config, values[ENVIRONMENT], epochs),
        analysis=as_type(folder / ANALYSIS, "", {"own_words": {}, **values[ANALYSIS]}, Analysis),
        parent=None if values[ENVIRONMENT].get("parent") is None else get(ENVIRONMENT, "parent", Parent),
        first=first,
    )


def _seconds(
    path: Path, config: RunConfig, environment: dict[str, Any], epochs: list[Epoch]
) -> dict[Conditions, list[float]]:
    def conditions(where: dict[str, Any], precision: str) -> Conditions:
        device = get_field(path, where, "device", str)
        machine = get_field(path, where, "processor", str) if device == "cpu" else device
        return Conditions(machine=machine, precision=precision, threads=get_field(path, where, "threads", int))

    begins = [(0, conditions(environment, config.runtime.precision))]
    for move in get_field(path, {"moves": [], **environment}, "moves", list[dict]):
        here = conditions(get_field(path, move, "environment", dict), get_field(path, move, "runtime.precision", str))
        begins.append((get_field(path, move, "epoch", int), here))
    seconds: dict[Conditions, list[float]] = {}
    for each in epochs:
        here = [conditions for epoch, conditions in begins if epoch <= each.epoch][-1]
        seconds.setdefault(here, []).append(each.seconds)
    return seconds


def read_file(path: Path) -> bytes:
    """Return the content of a regular file, without following a link."""
    try:
        with open_regular(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}. {RESTORE}") from error


def parse_object(path: Path, content: bytes) -> dict[str, Any]:
    """Return the JSON object in a file or a line of it; not-a-number is none of its values."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    try:
        value = json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not readable as JSON ({error}). {RESTORE}") from error
    return as_type(path, "it", value, dict)


def get_field(path: Path, value: dict[str, Any], name: str, kind: type[Value]) -> Value:
    """Return a field of JSON, `a.b` inside another one, as `as_type` has it; a missing one is None."""
    part: Any = value
    for key in name.split("."):
        part = part.get(key) if isinstance(part, dict) else None
    return as_type(path, name, part, kind)


def as_type(path: Path, name: str, value: Any, kind: Any) -> Any:
    """Return a JSON value, checked to be of a type such as `dict[str, list[int]]`; float takes whole numbers too.

    Of an object, a dataclass takes the fields that it has.

    Raises:
        RunError: it is of another type, or not finite, or the dataclass refuses it; names the file and the field.
    """
    base, parts = get_origin(kind) or kind, get_args(kind)
    json_kind = dict if is_dataclass(base) else list if base is tuple else base
    whole: object = value
    if kind is float and type(whole) is int and abs(whole) < 10**300:
        return float(whole)
    if type(value) is not json_kind or (kind is float and not math.isfinite(value)):
        raise RunError(f"{path}: {name} must be {KINDS[json_kind]}, but is {str(value)[:200]!r}. {NOT_USED}")
    prefix = f"{name}." if name else ""
    if is_dataclass(base):
        hints = get_type_hints(kind)
        fields = {field: as_type(path, prefix + field, value.get(field), hint) for field, hint in hints.items()}
        try:
            return kind(**fields)
        except ValueError as error:
            raise RunError(f"{path}: {prefix}{error}. {NOT_USED}") from error
    if base is dict and parts:
        return {key: as_type(path, prefix + key, item, parts[1]) for key, item in value.items()}
    if base in (list, tuple) and parts:
        kinds = parts[:1] * len(value) if base is list or parts[-1] is ... else parts
        if len(kinds) != len(value):
            raise RunError(f"{path}: {name} must have {len(kinds)} values, but is {str(value)[:200]!r}. {NOT_USED}")
        return base(as_type(path, f"{name}[{k}]", item, kinds[k]) for k, item in enumerate(value))
    return value
