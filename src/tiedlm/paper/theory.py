"""The runs behind Figure 1: the paper's theory experiment (Inan et al. 2017, section 6.2), from start to optimum.

A random stretch of the training text, with a vocabulary of its own words; an untied LSTM without regularisation; word
vectors held at norm 1; two phases of epochs under the loss of equation 6.1; at the end the classifier alone, until it
is at its optimum. What the paper leaves open is chosen here and in `TheoryConfig`.

A finished run is a record under `results/figure1/runs/`. A run under way keeps its state after every epoch, hidden in
the folder for runs: it resumes where it was cut, and several processes share the work by locks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock, Timeout
from torch import Tensor

from tiedlm import files
from tiedlm.config import to_json
from tiedlm.data.corpus import Corpus, prepare
from tiedlm.data.sources import CorpusConfig
from tiedlm.data.streams import Streams
from tiedlm.errors import ArgumentError, CorpusError, RunError, TrainingError
from tiedlm.evaluation.analysis import Spread, centred, spread, subspace_distance
from tiedlm.files import disk_errors_as_run_errors, json_sha256, write_bytes
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.paper.figure1 import (
    FOLDER,
    GRID,
    TRAINING,
    Setting,
    TheoryConfig,
    read_records,
    record_path,
    write_provenance,
    write_record,
)
from tiedlm.runs.load import bytes_to_tensors, tensors_to_bytes
from tiedlm.seeding import generator
from tiedlm.training.display import duration
from tiedlm.training.start import describe

CHUNK = 1000
"""Words whose scores are held at once while the classifier is fitted."""
MIN_VARIANCE = 1e-13
"""Of a direction of the features, as a share of the largest: what lies below is float32's rounding."""
MIN_CHANGE = 1e-11
"""Nats of J_tot a word; where a step changes less, the optimum counts as found."""
EPOCHS_BETWEEN_LINES = 10
FIT_IN_EPOCHS = 10
"""About as many epochs as take the time of fitting the classifier, which follows the last one."""


class TheoryLoss(NamedTuple):
    """J_tot, and without gradient J and J_aug = KL(y~ || y^) in nats; sums over words."""

    total: Tensor
    cross_entropy: Tensor
    divergence: Tensor


def theory_loss(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    table: Tensor,
    bias: Tensor,
    temperature: float,
    beta: float,
    detach_target: bool = False,
) -> TheoryLoss:
    """Return equation 6.1, summed over words: J_tot = beta tau^2 V J_aug + (1 - beta) J.

    J and J_aug are as in `tiedlm.losses`. The factor tau^2 V keeps the augmented term's size as tau grows: by
    equation 4.3 its gradient at the logits goes to W h - L u, each less its mean over the words.

    Args:
        features: h [N, D].
        classifier: W [V, D].
        targets: word ids [N].
        table: word vectors L [V, D].
        bias: b of the cross-entropy [V]; no part of the augmented term.
        temperature: tau > 0.
        beta: share of the augmented term, in [0, 1].
        detach_target: stop the gradient at the soft target y~.
    """
    logits = features @ classifier.T
    cross_entropy = F.cross_entropy(logits + bias, targets, reduction="sum")
    distinct, place = targets.unique(return_inverse=True)  # y~ is a function of the target alone
    soft_target = F.log_softmax(table[distinct] @ table.T / temperature, dim=-1)
    if detach_target:
        soft_target = soft_target.detach()
    prediction = F.log_softmax(logits / temperature, dim=-1)
    divergence = F.kl_div(prediction, soft_target[place], reduction="sum", log_target=True)
    parts = [(1 - beta, cross_entropy), (beta * temperature**2 * len(classifier), divergence)]
    total = torch.stack([share * part for share, part in parts if share > 0]).sum()  # no backward pass of 0 * part
    return TheoryLoss(total, cross_entropy.detach(), divergence.detach())


class Stretch(NamedTuple):
    """A stretch of a text in ids of its own: from 0 to V - 1 in order, V, and the id of `<eos>` among them."""

    ids: np.ndarray[Any, Any]
    words: int
    end_id: int


def choose_stretch(ids: np.ndarray[Any, Any], text_words: int, end_id: int, run: int) -> Stretch:
    """Return the contiguous stretch that run number `run` is trained on, its place drawn uniformly.

    Raises:
        CorpusError: the text is shorter.
    """
    if len(ids) < text_words:
        raise CorpusError(f"The text has {len(ids):,} words, but a stretch of {text_words:,} is asked for.")
    places = len(ids) - text_words + 1
    first = int(torch.randint(places, (1,), generator=generator(run, "stretch")))
    part = np.asarray(ids[first : first + text_words]).astype(np.int64)
    distinct = np.union1d(part, [end_id])
    return Stretch(np.searchsorted(distinct, part), len(distinct), int(np.searchsorted(distinct, end_id)))


@dataclass(frozen=True, kw_only=True)
class TheoryOutcome:
    """What a run came to, with the classifier at its optimum; means are over the words of the stretch."""

    distance: float
    """Subspace distance between word vectors and classifier."""
    distance_centred: float
    """The same once the mean over the words is taken off both tables: softmax does not see what all words share."""
    distance_as_trained: float
    """The same after the last epoch, before the classifier was trained alone."""
    words: int
    vectors: Spread
    classifier: Spread
    feature_norm_squared: float
    cross_entropy_nats: float
    augmented: float
    """Mean tau^2 V J_aug a word."""


class TrainingState(NamedTuple):
    """A run between two epochs; the state carried through the text starts anew with every epoch."""

    epoch: int
    """Epochs done, from 1."""
    model: LanguageModel
    optimizers: Sequence[torch.optim.Optimizer]

    def tensors(self) -> dict[str, Tensor]:
        """Return a copy of all that is needed to resume to the bit, under names."""
        tensors = {"epoch": torch.tensor(self.epoch)}
        tensors |= {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            for place, parameter in enumerate(_parameters(optimizer)):
                for name, tensor in optimizer.state[parameter].items():
                    tensors[f"optimizer.{number}.{place}.{name}"] = tensor
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def load_state(tensors: Mapping[str, Tensor], model: LanguageModel, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Restore what `TrainingState.tensors` returned, and return the epochs done."""
    try:
        parameters = {name.removeprefix("model."): each for name, each in tensors.items() if name.startswith("model.")}
        model.load_state_dict(parameters)
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, number, place, field = name.split(".", 3)
                optimizer = optimizers[int(number)]
                optimizer.state[_parameters(optimizer)[int(place)]][field] = tensor.clone()
        return int(tensors["epoch"])
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"The state is that of another run: {error}.") from error


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def run_theory(
    config: TheoryConfig,
    stretch: Stretch,
    run: int,
    *,
    state: Mapping[str, Tensor] | None = None,
    on_epoch: Callable[[TrainingState], None] | None = None,
) -> TheoryOutcome:
    """Train one run, its weights drawn from its number; on one machine the same arguments give the same outcome.

    Args:
        config, stretch, run: point and training, text, number of the run.
        state: what `TrainingState.tensors` returned, to resume from.
        on_epoch: is called after each epoch.

    Raises:
        TrainingError: the loss is no longer finite.
        ArgumentError: the state is that of another run.
    """
    model = initial_model(config, stretch.words, run)
    weights, biases = ([each for each in model.layers.parameters() if each.dim() == axes] for axes in (2, 1))
    by_part: dict[str, torch.optim.Optimizer] = {  # the vectors have two, of which one rests
        "classifier": torch.optim.SGD([model.classifier, _bias(model)]),
        "weights": torch.optim.Muon(weights, weight_decay=0.0),
        "biases": torch.optim.Adam(biases),
        "vectors by adam": torch.optim.Adam([model.table]),
        "vectors by sgd": torch.optim.SGD([model.table]),
    }
    optimizers = list(by_part.values())
    done = 0 if state is None else load_state(state, model, optimizers)
    for epoch in range(done + 1, config.epochs + 1):
        phase, share = config.phase(epoch)
        rates = {
            "classifier": phase.classifier_rate,
            "weights": share * phase.layer_rate,
            "biases": share * phase.bias_rate,
            f"vectors by {phase.vectors_by}": share * phase.vector_rate,
        }
        for part, optimizer in by_part.items():
            for group in optimizer.param_groups:
                group["lr"] = rates.get(part, 0.0)
        total = torch.zeros(())
        for features, targets in _features_by_window(model, stretch, config):
            loss = theory_loss(
                features,
                model.classifier,
                targets,
                table=model.table,
                bias=_bias(model),
                temperature=config.temperature,
                beta=config.beta,
                detach_target=config.detach_target,
            ).total
            model.zero_grad()
            (loss / config.streams).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), phase.clip_norm)
            for optimizer in optimizers:
                optimizer.step()
            _scale_to_norm_1(model.table)
            total += loss.detach()
        if not total.isfinite():
            raise TrainingError(
                f"The loss was not finite in epoch {epoch}. Lower a learning rate or the clipping norm."
            )
        if on_epoch is not None:
            on_epoch(TrainingState(epoch, model, optimizers))
    fitted = fit_classifier(model, stretch, config)
    return TheoryOutcome(
        distance=subspace_distance(model.table, fitted.classifier),
        distance_centred=subspace_distance(centred(model.table), centred(fitted.classifier)),
        distance_as_trained=subspace_distance(model.table, model.classifier),
        words=len(model.table),
        vectors=spread(model.table),
        classifier=spread(fitted.classifier),
        feature_norm_squared=fitted.feature_norm_squared,
        cross_entropy_nats=fitted.cross_entropy,
        augmented=fitted.divergence * config.temperature**2 * len(model.table),
    )


def initial_model(config: TheoryConfig, words: int, run: int) -> LanguageModel:
    """Return the model before its training: word vectors at norm 1, no bias yet."""
    shape = LSTMConfig(units=config.units, layers=config.layers, tied=False, init_range=config.init_range)
    model = LanguageModel(shape, words)
    model.reset_parameters(generator(run, "theory"))
    with torch.no_grad():
        model.classifier.mul_(config.classifier_range / config.init_range)
        _bias(model).zero_()
        _scale_to_norm_1(model.table)
    return model


@torch.no_grad()
def _scale_to_norm_1(table: Tensor) -> None:
    table.div_(table.norm(dim=1, keepdim=True))


def _bias(model: LanguageModel) -> Tensor:
    assert model.bias is not None  # the model is untied
    return model.bias


def _features_by_window(
    model: LanguageModel, stretch: Stretch, config: TheoryConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield h [N, D] and target ids [N] of each window; the state is carried, gradients are not."""
    state = model.initial_state(config.streams)
    for inputs, targets in Streams(stretch.ids, config.streams, end_id=stretch.end_id).windows(config.steps):
        features, state = model(inputs, state)
        state = tuple(part.detach() for part in state)
        yield features.flatten(0, 1), targets.flatten()


class Fitted(NamedTuple):
    """W [V, D] and b [V] at the optimum in float64, and means over words: J and J_aug in nats, |h|^2."""

    classifier: Tensor
    bias: Tensor
    cross_entropy: float
    divergence: float
    feature_norm_squared: float


def fit_classifier(model: LanguageModel, stretch: Stretch, config: TheoryConfig) -> Fitted:
    """Return the classifier at the optimum of equation 6.1 for a model's features and word vectors, which stay.

    J_tot is convex in classifier W and bias b. Gradient descent is slow, since the variance of the features differs
    ten-thousandfold between directions. So each direction is given the variance 1,

        x_t = B' h_t with B = Q diag(e)^(-1/2), where 1/N sum_t h_t h_t' = Q diag(e) Q'

    and the classifier of x_t, W B^-T, is found by L-BFGS on the whole stretch, in float64: the augmented term may come
    to 1e-8 nats, before the factor tau^2 V.
    """
    with torch.no_grad():
        windows = list(_features_by_window(model, stretch, config))
    features = torch.cat([features.double() for features, _ in windows])
    targets = torch.cat([targets for _, targets in windows])
    basis, inverse = whitening(features)
    whitened, table = features @ basis, model.table.detach().double()
    classifier = (model.classifier.detach().double() @ inverse.T).requires_grad_()
    bias = _bias(model).detach().double().requires_grad_()

    def losses() -> Iterator[TheoryLoss]:
        for part, words in zip(whitened.split(CHUNK), targets.split(CHUNK), strict=True):
            yield theory_loss(
                part, classifier, words, table=table, bias=bias, temperature=config.temperature, beta=config.beta
            )

    optimizer = torch.optim.LBFGS(
        [classifier, bias],
        max_iter=config.fit_evaluations,
        max_eval=config.fit_evaluations,
        tolerance_grad=0.0,
        tolerance_change=MIN_CHANGE,
        line_search_fn="strong_wolfe",
    )

    def mean_loss() -> float:
        optimizer.zero_grad()
        total = 0.0
        for loss in losses():
            mean = loss.total / len(targets)
            mean.backward()
            total += float(mean.detach())
        return total

    optimizer.step(mean_loss)
    with torch.no_grad():
        parts = list(losses())
    return Fitted(
        classifier=classifier.detach() @ basis.T,
        bias=bias.detach(),
        cross_entropy=sum(float(loss.cross_entropy) for loss in parts) / len(targets),
        divergence=sum(float(loss.divergence) for loss in parts) / len(targets),
        feature_norm_squared=float(features.square().sum(dim=1).mean()),
    )


def whitening(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return B [D, D] and B^-1, with which the columns of h B [N, D] are uncorrelated and of mean square 1."""
    values, vectors = torch.linalg.eigh(features.T @ features / len(features))
    sizes = values.clamp_min(MIN_VARIANCE * values[-1]).sqrt()
    return vectors / sizes, (vectors * sizes).T


class BudgetExceeded(Exception):  # noqa: N818 - no error: the state is saved, and the same command resumes
    pass


class Figure1Status(NamedTuple):
    """Runs that a call of `run_missing` finished, and those still missing."""

    finished: int
    missing: int
    out_of_time: bool


def run_missing(
    runs: Sequence[int],
    folder: Path,
    data_dir: Path | None,
    message: Callable[[str], None],
    *,
    training: TheoryConfig = TRAINING,
    budget_seconds: float | None = None,
) -> Figure1Status:
    """Train what is missing of these runs of every point, and list all that are finished in the folder's provenance.

    Run k of every point has the same stretch of text and initial weights; all points of one run come before the next.

    Args:
        runs: numbers of the runs, one or more.
        folder: of the figure's results; made where missing.
        data_dir: where the Penn Treebank is; None looks in the usual data folder.
        message: is called with lines on what has been done.
        training: its temperature and beta are replaced by those of the points.
        budget_seconds: when to stop, from now, after the epoch under way.

    Raises:
        RunError: a record or a state is damaged, or of another training; the disk is full or fails.
        CorpusError: the corpus is missing or unusable.
    """
    deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
    states = files.runs_dir() / f".{FOLDER}"
    with disk_errors_as_run_errors(states):
        states.mkdir(parents=True, exist_ok=True)

    def missing() -> list[tuple[int, Setting]]:
        records = read_records(folder, training)
        return [(run, setting) for run in runs for setting in GRID if (setting, run) not in records]

    def list_records() -> None:
        with FileLock(states / "folder.lock"), disk_errors_as_run_errors(folder):
            write_provenance(folder, training)

    finished, out_of_time = 0, False
    try:
        for run, setting in missing():
            if deadline is not None and time.monotonic() >= deadline:
                raise BudgetExceeded
            corpus = prepare(CorpusConfig(name="ptb"), data_dir=data_dir, progress=message)
            config, record = setting.config(training), record_path(folder, setting, run)
            texts = {split: entry["text_sha256"] for split, entry in corpus.provenance["splits"].items()}
            state = states / f"{record.stem}-{json_sha256([to_json(config), texts])[:12]}.safetensors"
            with _lock(state.with_suffix(".lock")) as taken:
                if taken and not record.exists():
                    _train(run, setting, config, corpus, record, state, message, deadline)
                    finished += 1
            list_records()
    except BudgetExceeded:
        out_of_time = True
    list_records()
    return Figure1Status(finished=finished, missing=len(missing()), out_of_time=out_of_time)


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold a lock for the block; yield False where another process holds it."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def _train(
    run: int,
    setting: Setting,
    config: TheoryConfig,
    corpus: Corpus,
    record: Path,
    path: Path,
    message: Callable[[str], None],
    deadline: float | None,
) -> None:
    name, began, before, state = f"run {run}, {setting}", time.monotonic(), 0.0, None
    if path.is_file():
        try:
            state = bytes_to_tensors(path.read_bytes())
            before = float(state["seconds"])
            message(f"{name}: goes on after epoch {int(state['epoch'])} of {config.epochs}")
        except (ArgumentError, KeyError, RuntimeError) as error:
            raise RunError(f"{path} is damaged ({error}). Delete it to begin that run again.") from error
    last = began

    def seconds() -> float:
        return before + time.monotonic() - began

    def on_epoch(reached: TrainingState) -> None:
        nonlocal last
        took, last = time.monotonic() - last, time.monotonic()
        spent = torch.tensor(seconds(), dtype=torch.float64)
        with disk_errors_as_run_errors(path):
            write_bytes(path, tensors_to_bytes({**reached.tensors(), "seconds": spent}))
        if reached.epoch % EPOCHS_BETWEEN_LINES == 0:
            message(f"{name}: epoch {reached.epoch} of {config.epochs}, {duration(seconds())}")
        ahead = took * (FIT_IN_EPOCHS if reached.epoch == config.epochs else 1)
        if deadline is not None and last + ahead > deadline:
            message(f"{name}: saved after epoch {reached.epoch} of {config.epochs}, {duration(seconds())}")
            raise BudgetExceeded

    stretch = choose_stretch(corpus.splits["train"].ids, config.text_words, corpus.vocabulary.end_id, run)
    environment = {key: value for key, value in describe("cpu").items() if key != "command"}  # it may name folders
    outcome = run_theory(config, stretch, run, state=state, on_epoch=on_epoch)
    fields = {"environment": {**environment, "corpus": corpus.provenance}, "outcome": asdict(outcome)}
    with disk_errors_as_run_errors(record):
        write_record(record, config, run, seconds=seconds(), **fields)
    path.unlink(missing_ok=True)
    message(f"{name}: distance {outcome.distance:.4f}")
