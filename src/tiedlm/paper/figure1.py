"""Figure 1: the settings of its runs, their grid, and the results of those that are finished. Imports no torch.

    results/figure1/
    ├── provenance.json    the command that repeats it, seconds of training, sha256 of every record
    └── runs/              a record of each finished run: config, environment, seconds and outcome

A run is one training of the paper's theory experiment (section 6.2, `theory`). It has two phases. In the first the
network learns a stretch of text by heart, with word vectors that hardly move; in the second the vectors come together,
as equation 6.1 moves them, and softmax becomes linear in what is left of their differences. Either alone leaves more
directions of the word vectors' span outside that of the classifier (`docs/reproduction.md`).
"""

from __future__ import annotations

import hashlib
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

from tiedlm.config import to_json
from tiedlm.errors import ArgumentError, RunError
from tiedlm.files import write_json
from tiedlm.paper.published import FIGURE_1_POINTS
from tiedlm.paper.results import PROVENANCE, checksum, get_field, parse_object, read_file, read_verified
from tiedlm.paper.statistics import Sample

FORMAT, VERSION, RECORD_FORMAT = "tiedlm-figure1", 2, 4
FOLDER = "figure1"
"""Name of the figure's folder below the folder of all results."""
RUNS = (0, 1, 2, 3, 4)
"""Runs of each point where none are named; the paper made 10."""


@dataclass(frozen=True, kw_only=True)
class TheoryPhase:
    """Epochs under one set of rates.

    Those of layers, biases and vectors hold for the first half and then fall in a line towards 0; the classifier's
    holds to the end.
    """

    epochs: int
    layer_rate: float
    """Of the LSTM layers' weights, by Muon."""
    bias_rate: float
    """Of the LSTM layers' biases, by Adam."""
    vectors_by: Literal["adam", "sgd"]
    """Optimiser of the word vectors."""
    vector_rate: float
    classifier_rate: float
    """Of classifier and bias, by stochastic gradient descent."""
    clip_norm: float
    """Maximum norm of the whole gradient: so small that the tables keep their pace while the loss vanishes."""


MEMORISE_PHASE = TheoryPhase(
    epochs=60,
    layer_rate=0.06,
    bias_rate=0.005,
    vectors_by="adam",
    vector_rate=1e-4,
    classifier_rate=128.0,
    clip_norm=0.3125,
)
ALIGN_PHASE = TheoryPhase(
    epochs=40,
    layer_rate=0.03,
    bias_rate=0.0025,
    vectors_by="sgd",
    vector_rate=4.0,
    classifier_rate=32.0,
    clip_norm=1.25,
)


@dataclass(frozen=True, kw_only=True)
class TheoryConfig:
    """One point of the figure, and how it is trained. The loss is summed over steps and averaged over streams.

    Raises:
        ArgumentError: temperature not above 0, beta outside [0, 1].
    """

    temperature: float
    """tau."""
    beta: float
    """Share of the augmented term, in [0, 1]."""
    text_words: int = 20_000
    """Words of the stretch, `<eos>` at the ends of lines included (the paper's 20,000)."""
    units: int = 300
    """Width of word vectors, layers and classifier (the paper's 300)."""
    layers: int = 2
    """LSTM layers (the paper's two)."""
    apart: TheoryPhase = MEMORISE_PHASE
    together: TheoryPhase = ALIGN_PHASE
    streams: int = 40
    """Streams side by side (B)."""
    steps: int = 20
    """Steps of a window (T)."""
    init_range: float = 0.1
    """Every parameter but the classifier starts uniform in (-init_range, init_range), word vectors then at norm 1."""
    classifier_range: float = 0.0
    """The classifier starts uniform in (-classifier_range, classifier_range)."""
    detach_target: bool = False
    """Stop the gradient at the soft target; the paper's equation 6.1 differentiates it too."""
    fit_evaluations: int = 25
    """Maximum evaluations of the loss while the classifier alone is trained, at the end."""

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ArgumentError(f"temperature is {self.temperature}, but must be above 0.")
        if not 0 <= self.beta <= 1:
            raise ArgumentError(
                f"beta is {self.beta}, but must lie in [0, 1]: 0 is cross-entropy alone, 1 the augmented term."
            )

    @property
    def epochs(self) -> int:
        return self.apart.epochs + self.together.epochs

    def phase(self, epoch: int) -> tuple[TheoryPhase, float]:
        """Return the phase of an epoch, from 1, and the share of its full learning rates: 1, then down in a line."""
        first = epoch <= self.apart.epochs
        phase, done = (self.apart, 0) if first else (self.together, self.apart.epochs)
        return phase, min(1.0, 2 * (phase.epochs - (epoch - done) + 1) / (phase.epochs + 1))


TRAINING = TheoryConfig(temperature=1.0, beta=1.0)
"""How every run is trained; temperature and beta are those of its point."""


class Setting(NamedTuple):
    tau: float
    beta: float

    def __str__(self) -> str:
        return f"tau {self.tau:g}, beta {self.beta:g}"

    def config(self, training: TheoryConfig) -> TheoryConfig:
        return replace(training, temperature=self.tau, beta=self.beta)


PANELS: dict[str, tuple[Setting, ...]] = {
    "beta": tuple(Setting(10.0, beta) for beta in (0.0, 0.25, 0.5, 0.75, 1.0)),
    "tau": tuple(Setting(tau, 1.0) for tau in (1.0, 2.0, 5.0, 10.0, 20.0)),
}
"""(a) from cross-entropy alone to the augmented term alone, at the paper's tau; (b) the augmented term alone."""
GRID = tuple(dict.fromkeys(setting for panel in PANELS.values() for setting in panel))
"""Every point once; tau = 10 with beta = 1 is in both panels."""


class Record(NamedTuple):
    distance: float
    words: int
    seconds: float
    sha256: str


Records = dict[tuple[Setting, int], Record]
"""(point, number of the run) → record."""


@final
@dataclass(frozen=True, kw_only=True)
class Point:
    tau: float
    beta: float
    distances: Sample | None
    """Number of the run → distance, in [0, 1]; None where no run is finished."""

    def paper(self, panel: str) -> str | None:
        """Return what the paper says of it; None where it says nothing."""
        place = (panel, self.tau, self.beta)
        return next((p.description for p in FIGURE_1_POINTS if (p.panel, p.tau, p.beta) == place), None)


@final
@dataclass(frozen=True, kw_only=True)
class Figure1:
    words: int
    """Rows of the tables (V): distinct words of a run's text, the mean over runs."""
    units: int
    """Their columns (d)."""
    runs: tuple[int, ...]
    """Numbers of the runs that each point should have: those that any point has."""
    panels: dict[str, tuple[Point, ...]]
    """`beta` and `tau`: points ascending in what the panel is named after."""

    @property
    def chance(self) -> float:
        """Return the distance of two random d-dimensional subspaces of R^V: sqrt(1 - d/V)."""
        return math.sqrt(1 - self.units / self.words)

    def missing(self) -> dict[Setting, list[int]]:
        """Return point → the numbers of the runs that are not finished, of points that lack some."""
        missing = {}
        for point in (point for panel in self.panels.values() for point in panel):
            finished = {} if point.distances is None else point.distances.by_seed
            if runs := [run for run in self.runs if run not in finished]:
                missing[Setting(point.tau, point.beta)] = runs
        return missing

    def counted(self) -> str:
        """Return how much of the figure there is; a point that is in both panels is measured once."""
        total = len(self.runs) * len(GRID)
        return f"Figure 1: {total - sum(map(len, self.missing().values()))} of {total} runs."


def read_outcomes(results: Path, training: TheoryConfig = TRAINING) -> Figure1 | None:
    """Return the points below the folder of all results; None where Figure 1 was not run.

    Raises:
        RunError: a record is missing, damaged, edited, not listed, or of another training.
    """
    folder = results / FOLDER
    if not (folder / PROVENANCE).exists() and not any((folder / "runs").glob("*.json")):
        return None
    contents = read_verified(folder, FORMAT, VERSION)
    listed = {folder / name: content for name, content in contents.items() if name != PROVENANCE}
    records = dict(_record(folder, path, content, training) for path, content in listed.items())
    words = {run: record.words for (_, run), record in records.items()}

    def point(setting: Setting) -> Point:
        distances = {run: record.distance for (one, run), record in records.items() if one == setting}
        return Point(tau=setting.tau, beta=setting.beta, distances=Sample(distances) if distances else None)

    return Figure1(
        words=round(statistics.fmean(words.values())),
        units=training.units,
        runs=tuple(sorted(words)),
        panels={name: tuple(map(point, settings)) for name, settings in PANELS.items()},
    )


def record_path(folder: Path, setting: Setting, run: int) -> Path:
    return folder / "runs" / f"tau-{setting.tau:g}-beta-{setting.beta:g}-run-{run}.json"


def read_records(folder: Path, training: TheoryConfig) -> Records:
    """Return the records of all finished runs, listed in the provenance or not; RunError as `read_outcomes`."""
    paths = (folder / "runs").glob("*.json")
    return dict(sorted(_record(folder, path, read_file(path), training) for path in paths))


def write_record(path: Path, config: TheoryConfig, run: int, **fields: Any) -> None:
    """Write the record of a run: `seconds`, `environment` and `outcome`."""
    write_json(path, {"format": RECORD_FORMAT, "config": to_json(config), "run": run, **fields})


def write_provenance(folder: Path, training: TheoryConfig) -> None:
    """List the records of all runs that are finished; without any, nothing is written."""
    records = read_records(folder, training)
    if not records:
        return
    body = {
        "format": FORMAT,
        "version": VERSION,
        "command": f"tiedlm reproduce figure1 --seeds {','.join(map(str, sorted({run for _, run in records})))}",
        "training_seconds": sum(record.seconds for record in records.values()),
        "files": {record_path(Path(), *place).as_posix(): record.sha256 for place, record in records.items()},
    }
    write_json(folder / PROVENANCE, body | {"checksum": checksum(body)})


def _record(folder: Path, path: Path, content: bytes, training: TheoryConfig) -> tuple[tuple[Setting, int], Record]:
    value = parse_object(path, content)
    number = re.search(r"-run-(\d{1,9})\.json$", path.name)
    run = int(number[1]) if number else -1
    setting = next((one for one in GRID if record_path(folder, one, run) == path), None)
    if setting is None:
        raise RunError(f"{path} is not the record of a run of Figure 1: no run has that name. Move it away.")
    for name, expected in {"format": RECORD_FORMAT, "config": to_json(setting.config(training)), "run": run}.items():
        if value.get(name) != expected:
            raise RunError(
                f"{path} is of another training than Figure 1's as it is now: its {name} should be {expected}. Nothing "
                "was overwritten. Move the folder away to train the figure again."
            )
    distance, words = get_field(path, value, "outcome.distance", float), get_field(path, value, "outcome.words", int)
    if not (0 <= distance <= 1 and training.units < words <= training.text_words + 1):
        raise RunError(
            f"{path} has the distance {distance} and {words} words, which no run has. Move it away to repeat it."
        )
    seconds = get_field(path, value, "seconds", float)
    return (setting, run), Record(distance, words, seconds, hashlib.sha256(content).hexdigest())


def summary_text(figure1: Figure1 | None) -> str:
    """Return how much of the figure there is, and how to get the rest."""
    if figure1 is None:
        return "Figure 1: not run. `tiedlm reproduce figure1` runs it."
    settings_by_runs: dict[str, list[Setting]] = {}
    for setting, runs in figure1.missing().items():
        settings_by_runs.setdefault(" ".join(map(str, runs)), []).append(setting)
    listed = "; ".join(f"runs {runs} of {_points(settings)}" for runs, settings in settings_by_runs.items())
    missing = f" Missing: {listed}. `tiedlm reproduce figure1` goes on with it." if listed else ""
    return figure1.counted() + missing


def _points(settings: Sequence[Setting]) -> str:
    if len(settings) == len(GRID):
        return "every point"
    return ", ".join(f"(τ {setting.tau:g}, β {setting.beta:g})" for setting in settings)


def comparison_text(figure1: Figure1) -> str:
    """Return how much of the figure there is, and ours at the points of which the paper tells."""
    compared = "; ".join(
        f"{point.distances.text(3)} at β = {point.beta:g}, τ = {point.tau:g} ({paper})"
        for name, panel in figure1.panels.items()
        for point in panel
        if point.distances is not None and (paper := point.paper(name)) is not None
    )
    distances = f" Distance between the spans of both tables, in brackets the paper's: {compared}." if compared else ""
    return f"{figure1.counted()}{distances} Chance is {figure1.chance:.3f}."
