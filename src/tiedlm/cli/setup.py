"""Commands before a training: `recipes` (what has a name), `prepare` (a corpus), `doctor` (this installation)."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from tiedlm import files
from tiedlm.cli.arguments import NO_DEFAULT, Directory, Switch, parse
from tiedlm.cli.output import print_json, print_table, print_values, say
from tiedlm.config import to_json
from tiedlm.data.sources import CORPUS_NAMES, CorpusConfig
from tiedlm.errors import ConfigError
from tiedlm.recipes import recipe, recipe_names

PACKAGES = ("torch", "numpy", "safetensors", "tyro", "rich", "pooch", "platformdirs", "filelock")
UNWRITABLE = "cannot be written"


@dataclass(frozen=True, kw_only=True)
class RecipesArgs:
    """List the recipes: corpus, network, loss and epochs, and the paper's test perplexity where it has the row."""

    recipe: Annotated[str | None, tyro.conf.arg(metavar="[RECIPE]"), NO_DEFAULT, tyro.conf.Positional] = None
    """Show this recipe only."""
    json: Switch = False
    """Print whole configs as JSON, by name; of one recipe its config alone, as `tiedlm train` reads it from a file."""


def recipes(argv: Sequence[str]) -> None:
    args = parse(RecipesArgs, argv, "recipes")
    from tiedlm.paper.published import PUBLISHED

    names = recipe_names() if args.recipe is None else [args.recipe]
    configs = {name: recipe(name) for name in names}
    if args.json:
        values = {name: to_json(config) for name, config in configs.items()}
        print_json(values if args.recipe is None else values[args.recipe])
        return
    rows = []
    for name, config in configs.items():
        loss, training = config.loss, config.training
        terms = f"CE + {loss.gamma:g} AL, tau {loss.temperature:g}" if loss.temperature else "CE"
        terms += ", uniform target" if loss.target == "uniform" else ""
        terms += f", label smoothing {loss.label_smoothing:g}" if loss.label_smoothing else ""
        terms += f", table decay {training.table_decay:g}" if training.table_decay else ""
        published = PUBLISHED.get(name)
        paper = "" if published is None or published.test is None else f"{published.test:.1f}"
        rows.append([name, config.corpus.name, config.model.network, terms, str(training.epochs), paper])
    print_table(("recipe", "corpus", "network", "loss", "epochs", "paper's test"), rows, align="llllr")


_File = Annotated[str | None, tyro.conf.arg(metavar="FILE"), NO_DEFAULT]


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """The text, for the corpus `text`, and the size of the vocabulary."""

    train: _File = None
    """Training text: UTF-8, one sentence or paragraph a line, words separated by spaces."""
    valid: _File = None
    """Validation text."""
    test: _File = None
    """Test text."""
    vocabulary_size: Annotated[int | None, tyro.conf.arg(metavar="WORDS"), NO_DEFAULT] = None
    """Words in the vocabulary, `<unk>` and `<eos>` included. Default: all of the training text."""


@dataclass(frozen=True, kw_only=True)
class PrepareArgs:
    """Find or download a corpus, check it, encode it, and print its sizes.

    Corpora: ptb, wikitext-2, wikitext-2-half1 and wikitext-2-half2 (halves of its training text), builtin (English of
    Python's own documentation), synthetic (a source of known entropy), and text, that is three files of your own. A
    training does the same by itself.
    """

    name: Annotated[str | None, tyro.conf.arg(metavar="CORPUS"), NO_DEFAULT, tyro.conf.Positional] = None
    """Name of the corpus; it may be left out where text files are given."""
    data_dir: Directory = None
    """Data folder, downloaded to if needed. Default: TIEDLM_DATA_DIR."""
    corpus: TextOptions = field(default_factory=TextOptions)
    json: Switch = False
    """Print everything as JSON."""


def prepare(argv: Sequence[str]) -> None:
    args = parse(PrepareArgs, argv, "prepare")
    options = asdict(args.corpus)
    if args.name is None and not any(options.values()):
        raise ConfigError(f"Name the corpus to prepare. Corpora: {', '.join(CORPUS_NAMES)}.")
    config = CorpusConfig(name=args.name or "text", **options)
    from tiedlm.data import corpus as corpus_module

    corpus = corpus_module.prepare(config, data_dir=args.data_dir, progress=lambda line: say(line, sys.stderr))
    cached = Path(corpus.splits["train"].ids.filename).parent  # pyright: ignore[reportAttributeAccessIssue]
    if args.json:
        print_json({"corpus": corpus.name, "encoded_in": str(cached), **corpus.provenance})
        return
    origin = {name.replace("_", " "): value for name, value in corpus.provenance["origin"].items()}
    report = {name: value for name, value in origin.items() if isinstance(value, (str, int, float))}
    print_values({"corpus": corpus.name, "encoded in": str(cached), **report, "vocabulary": len(corpus.vocabulary)})
    rows = [
        [name, str(split["lines"]), str(split["words"]), str(split["unknown"]), split["text_sha256"]]
        for name, split in corpus.provenance["splits"].items()
    ]
    print_table(("split", "lines", "words with <eos>", "unknown", "sha256 of the text"), rows)


@dataclass(frozen=True, kw_only=True)
class DoctorArgs:
    """Print versions, devices, threads, where data, caches and runs are kept, and which corpora are there."""

    data_dir: Directory = None
    """Folder to look for corpora in. Default: TIEDLM_DATA_DIR."""
    json: Switch = False
    """Print JSON."""


def doctor(argv: Sequence[str]) -> int:
    """Run the command and return the exit status: 0 where all is well, 1 where something is in the way."""
    args = parse(DoctorArgs, argv, "doctor")
    report: dict[str, Any] = {"versions": versions(), "machine": machine()}
    places, states = folders(args.data_dir), corpora(args.data_dir)
    problems = [f"{name} {text}" for name, text in report["versions"].items() if text.startswith(("is not", "cannot"))]
    problems += [f"{place.path} {UNWRITABLE}; {place.set_by}" for place in places if place.state() == UNWRITABLE]
    if args.json:
        listed = [{**place._asdict(), "path": str(place.path)} for place in places]
        print_json({**report, "places": listed, "corpora": states, "problems": problems})
    else:
        print_values({**report["versions"], **report["machine"]})
        rows = [[place.name, str(place.path.absolute()), place.set_by, place.state()] for place in places]
        print_table(("place", "folder", "set by", "state"), rows, align="l")
        print_table(("corpus", "state"), list(states.items()), align="l")
        print_values({"problems": "; ".join(problems) or "none"})
    return 1 if problems else 0


class Folder(NamedTuple):
    name: str
    path: Path
    set_by: str

    def state(self) -> str:
        """Return whether it can be written, or made where it is missing, and the free space."""
        path = self.path.absolute()
        nearest = next((folder for folder in (path, *path.parents) if folder.exists()), path)
        if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
            return UNWRITABLE
        free = f"{shutil.disk_usage(nearest).free / 1e9:.1f} GB free"
        return free if path == nearest else f"made when needed, {free}"


def versions() -> dict[str, str]:
    """Return the version of the package, of Python and of each dependency, or what is wrong with it."""
    result = {"tiedlm": "", "python": f"{platform.python_version()} ({sys.executable})"}
    for name in ("tiedlm", *PACKAGES):
        try:
            result[name] = version(name)
            importlib.import_module(name)
        except PackageNotFoundError:
            result[name] = "is not installed"
        except (ImportError, OSError) as error:
            result[name] = f"cannot be loaded: {error}"
    return result


def machine() -> dict[str, Any]:
    result: dict[str, Any] = {"platform": platform.platform()}
    if hasattr(os, "sched_getaffinity"):
        result["cores"] = len(os.sched_getaffinity(0))
    try:
        import torch

        from tiedlm.native import device
    except (ImportError, OSError):  # `versions` says so
        return result
    result |= {"processor": device.processor(), "threads": torch.get_num_threads()}
    for dtype in (torch.float32, torch.bfloat16):
        result[f"{str(dtype).removeprefix('torch.')}_gflops"] = round(device.matmul_gflops(dtype))
    gpus = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    return result | {"devices": ", ".join(["cpu", *gpus])}


def folders(data_dir: Path | None) -> list[Folder]:
    def set_by(variable: str) -> str:
        return variable if os.environ.get(variable) else f"default; {variable} sets it"

    data = "--data-dir" if data_dir else set_by(files.DATA_VARIABLE)
    return [
        Folder("data", data_dir or files.data_dir(), data),
        Folder("cache", files.cache_dir(), set_by(files.CACHE_VARIABLE)),
        Folder("runs", files.runs_dir(), set_by(files.RUNS_VARIABLE)),
    ]


def corpora(data_dir: Path | None) -> dict[str, str]:
    from tiedlm.data.sources import SOURCES

    data, result = data_dir or files.data_dir(), {}
    for name, source in SOURCES.items():
        paths = [next((data / n for n in f.names if (data / n).is_file()), None) for f in source.files.values()]
        if all(path is None for path in paths):
            result[name] = "not found"
        elif any(path and files.sha256(path) != f.sha256 for path, f in zip(paths, source.files.values(), strict=True)):
            result[name] = "found, but a file is not as published"
        else:
            result[name] = "found in part" if None in paths else "found, as published"
    for name in ("builtin", "synthetic"):
        made = sorted(path.name for path in files.cache_dir().glob(f"{name}-v*") if path.is_dir())
        result[name] = f"made: {', '.join(made)}" if made else "made when needed"
    return result
