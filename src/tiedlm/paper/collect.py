"""All published results → the paper's rows: every one read, checked and held against the others, or an error.

What is refused: results that are edited, damaged or of another version (`result`), that contradict themselves
(`consistency`) or their recipe as it is now (`differences`), that were scored under several protocols or on other texts
than published, two of one seed, and folders that are no recipe's. Nothing is left out in silence but what a killed
process left of a folder that it was writing, which `tiedlm publish` clears away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tiedlm.checkpoint.making import is_partial
from tiedlm.data.sources import source_of
from tiedlm.errors import ConfigError, RunError, suggestion
from tiedlm.paper.differences import check_is_recipe
from tiedlm.paper.layout import NOT_USED, PROVENANCE, Result
from tiedlm.paper.published import PUBLISHED, PublishedRow
from tiedlm.paper.result import read_result
from tiedlm.paper.samples import Sample
from tiedlm.recipes import recipe_names


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the paper, and this project's results for it."""

    name: str
    """The recipe."""
    published: PublishedRow
    results: dict[int, Result]
    """Seed → result, seeds ascending; empty where nothing was run."""

    @property
    def folder(self) -> str:
        """Return the folder of its results, as it is named in tables."""
        return f"results/{self.name}"

    def trainings(self) -> list[int]:
        """Return after how many trainings there are figures, ascending."""
        return sorted({stage.provenance["trainings"] for result in self.results.values() for stage in stages(result)})

    def after(self, trainings: int) -> dict[int, Result]:
        """Return seed → result after so many trainings: of a later one, what stood before it."""
        return {
            seed: stage
            for seed, result in self.results.items()
            for stage in stages(result)
            if stage.provenance["trainings"] == trainings
        }

    def perplexity(self, split: str, trainings: int) -> Sample | None:
        """Return the perplexity of `valid` or `test` over seeds after so many trainings; None where nothing was run."""
        by_seed = {seed: result.scores[split]["perplexity"] for seed, result in self.after(trainings).items()}
        return Sample(by_seed) if by_seed else None


def stages(result: Result) -> Iterator[Result]:
    """Yield the results of all trainings behind one, the first training's first."""
    if result.first_training is not None:
        yield from stages(result.first_training)
    yield result


def collect(results: Path) -> dict[str, Row]:
    """Return recipe → row for every row of the paper, with the results below the folder `results`.

    Results of recipes that are no rows of the paper are checked like the others and left out.

    Raises:
        RunError: a result that is refused (see the module), or no such folder; the message names the file or folder.
    """
    if not results.is_dir():
        raise RunError(f"{results} is not a folder. Name the folder of all results, or publish a run into it.")
    by_recipe = {folder.name: _read_recipe(folder) for folder in _recipe_folders(results)}
    everything = [stage for found in by_recipe.values() for result in found.values() for stage in stages(result)]
    _check_one_protocol(everything)
    _check_distinct_weights(everything)
    return {
        name: Row(name=name, published=published, results=by_recipe.get(name, {}))
        for name, published in PUBLISHED.items()
    }


def _recipe_folders(results: Path) -> Iterator[Path]:
    """Yield the folders of recipes; folders without results of runs, such as that of Figure 1's points, are others'."""
    names = recipe_names()
    for folder in sorted(path for path in results.iterdir() if path.is_dir()):
        if folder.name in names:
            yield folder
        elif any(folder.glob(f"*/{PROVENANCE}")):
            raise RunError(
                f"{folder} holds results, but there is no recipe of that name.{suggestion(folder.name, names)} A "
                "folder of results has its recipe's name. Move it elsewhere."
            )


def _read_recipe(folder: Path) -> dict[int, Result]:
    """Return seed → result of one recipe's folder."""
    found: dict[int, Result] = {}
    for path in sorted(path for path in folder.iterdir() if not is_partial(path)):
        result = read_result(path)
        for stage in stages(result):
            _check_recipe(stage, folder.name)
            _check_texts(stage)
        seed = result.config["seed"]
        if seed in found:
            raise RunError(f"{found[seed].path} and {path} are both results of seed {seed}. Keep one of them.")
        found[seed] = result
    for seed, result in found.items():
        if result.path.name != f"seed-{seed}":
            raise RunError(f"{result.path} is a result of seed {seed}. Name it seed-{seed}, or publish its run again.")
    return dict(sorted(found.items()))


def _check_recipe(result: Result, name: str) -> None:
    if result.config["recipe"] != name:
        raise RunError(
            f"{result.path} is a result of the recipe {result.config['recipe']!r}, not of {name!r}. Move it."
        )
    try:
        check_is_recipe(result.config)
    except ConfigError as error:
        raise RunError(
            f"{result.path} is not a result of the recipe as it is now. {error} A result stands only for the recipe "
            "that made it: where the recipe has changed since, train it again."
        ) from error


def _check_texts(result: Result) -> None:
    source = source_of(result.config["corpus"]["name"])
    if source is None:
        return
    for split, file in source.files.items():
        if (found := result.provenance["texts_sha256"].get(split)) != file.sha256:
            raise RunError(
                f"{result.path} was made with another {split} text than the published one of {source.name}: its "
                f"sha256 is {found}, not {file.sha256}. {NOT_USED}"
            )


def _check_one_protocol(results: list[Result]) -> None:
    first: dict[str, Path] = {}
    for result in results:
        first.setdefault(result.scores["protocol"], result.path)
    if len(first) > 1:
        told = "; ".join(f"{path}: {protocol!r}" for protocol, path in first.items())
        raise RunError(
            f"Results were scored under {len(first)} protocols, whose figures do not compare: {told}. Score them anew "
            f"with one version of tiedlm and publish them again. {NOT_USED}"
        )


def _check_distinct_weights(results: list[Result]) -> None:
    seen: dict[str, Path] = {}
    for result in results:
        weights = result.provenance["weights_sha256"]
        if weights in seen:
            raise RunError(
                f"{seen[weights]} and {result.path} are of the same weights: one run would count twice. Keep one of "
                "them."
            )
        seen[weights] = result.path
