"""A command's arguments: one dataclass, parsed once by tyro, with values checked where they come in.

`train` takes any field of a run's config as an option. Those fields are `TypedDict`s in which tyro leaves out what is
not on the line, so the parser needs to know no recipe, and `with_overrides` changes a config by exactly what was given.
"""

from __future__ import annotations

import dataclasses
import inspect
import io
import re
import shutil
import sys
import textwrap
import typing
from collections.abc import Callable, Collection, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, TypedDict, TypeVar, get_type_hints

import docstring_parser
import tyro
from tyro.constructors import PrimitiveConstructorSpec

from tiedlm.config import from_json, to_json
from tiedlm.data.sources import SPLITS
from tiedlm.errors import ArgumentError, ConfigError, printable
from tiedlm.files import expanded, read_json
from tiedlm.recipes import recipe, recipe_names
from tiedlm.runs.config import LossConfig, RunConfig

Arguments = TypeVar("Arguments")
Overrides = dict[str, dict[str, Any]]
"""Section of a run's config → field → value, as given on the command line."""

SECTIONS = ("corpus", "model", "loss", "training", "runtime")
MIN_BUDGET_SECONDS = 60
NO_DEFAULT = tyro.conf.arg(help_behavior_hint="")
"""For arguments whose help says in words what holds without them."""


def _value(convert: Callable[[str], Any], metavar: str) -> PrimitiveConstructorSpec[Any]:
    """Return how tyro reads an option that may be None; it prints a ValueError of `convert`."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: convert(words[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )


def _path(text: str) -> Path:
    if not text:
        raise ArgumentError("the name is empty. A shell variable that is not set is empty; leave the option out.")
    return Path(text)


def _budget_seconds(text: str) -> int:
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if match is None or not any(match.groups()):
        raise ArgumentError("write hours, minutes and seconds as in 9m, 90s or 1h30m.")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if total < MIN_BUDGET_SECONDS:
        raise ArgumentError(f"give {MIN_BUDGET_SECONDS}s or more: a training takes that long to start and to save.")
    return total


def _seeds(text: str) -> list[int]:
    from tiedlm.training.jobs import parse_seeds  # here, since one training needs no jobs

    return parse_seeds(text)


RunPath = Annotated[Path, tyro.conf.arg(metavar="RUN", help="The run folder."), tyro.conf.Positional]
OtherRun = Annotated[Path | None, _value(_path, "RUN"), NO_DEFAULT]
Directory = Annotated[Path | None, _value(_path, "DIR"), NO_DEFAULT]
File = Annotated[Path | None, _value(_path, "FILE"), NO_DEFAULT]
Names = Annotated[tuple[str, ...], NO_DEFAULT]
Integer = Annotated[int | None, _value(int, "INT"), NO_DEFAULT]
Seeds = Annotated[list[int] | None, _value(_seeds, "SEEDS"), NO_DEFAULT]
Budget = Annotated[int | None, _value(_budget_seconds, "TIME"), NO_DEFAULT]
Device = Annotated[str, tyro.conf.arg(metavar="DEVICE")]
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff, NO_DEFAULT]


def parse(kind: type[Arguments], argv: Sequence[str], command: str, more: str = "") -> Arguments:
    """Return the arguments of `tiedlm <command>` as the dataclass `kind`, whose docstring, with `more`, is the help.

    Raises:
        SystemExit: help was printed (status 0), or what is wrong with the line (status 2).
    """
    description = f"{inspect.cleandoc(kind.__doc__ or '')}\n\n{more}"
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            return tyro.cli(kind, prog=f"tiedlm {command}", description=description, args=list(argv))
    except SystemExit:
        width = shutil.get_terminal_size().columns
        for text, stream in ((out.getvalue(), sys.stdout), (err.getvalue(), sys.stderr)):
            for line in text.rstrip().splitlines():  # tyro wraps the options, not the description
                print(printable(textwrap.fill(line, width, break_on_hyphens=False), keep="\n"), file=stream)
        raise


def refuse_unused(args: Any, mode: str, used: Collection[str]) -> None:
    """Raise an ArgumentError where other fields than the `used` ones have values, in a mode such as "with --render"."""
    names, unused = {"start_from": "--from", "targets": "TARGET"}, []
    for field in dataclasses.fields(args):
        default = field.default_factory() if callable(field.default_factory) else field.default
        if field.name not in used and getattr(args, field.name) != default:
            unused.append(names.get(field.name, f"--{field.name.replace('_', '-')}"))
    if unused:
        raise ArgumentError(f"{', '.join(unused)} has no effect {mode}. Leave it out.")


def base_config(name: str) -> RunConfig:
    """Return the config of the recipe `name`, or of the JSON file `name`, whose ending `.json` may be left out."""
    path = Path(name)
    if path.suffix != ".json":
        files = [file for file in (path, Path(f"{name}.json")) if file.is_file()]
        if name in recipe_names() or not files:
            return recipe(name)
        path = files[0]
    if not path.is_file():
        raise ConfigError(f"The config file {name} does not exist. Check the path, or name a recipe.")
    return from_json(RunConfig, read_json(path))


def overrides_type(shown: RunConfig | None = None) -> Any:
    """Return the type of `Overrides` with an option for each field: of every kind of model, or of that in `shown`.

    The help shows the values of `shown` as defaults.
    """
    hints, sections = get_type_hints(RunConfig), {}
    for section in SECTIONS:
        kinds = typing.get_args(hints[section]) or (hints[section],)
        if shown is not None:
            kinds = (type(getattr(shown, section)),)
        fields: dict[str, Any] = {}
        for kind in kinds:
            types, docs = get_type_hints(kind), {}
            for ancestor in reversed(kind.__mro__[:-1]):
                docs |= {p.arg_name: p.description for p in docstring_parser.parse_from_object(ancestor).params}
            for field in dataclasses.fields(kind):
                hint = "" if shown is None else f"(default: {getattr(getattr(shown, section), field.name)})"
                option = tyro.conf.arg(help=docs[field.name], help_behavior_hint=hint)
                fields.setdefault(field.name, Annotated[types[field.name], option])
        sections[section] = TypedDict(section, fields, total=False)  # pyright: ignore[reportArgumentType]
    return TypedDict("Overrides", sections, total=False)  # pyright: ignore[reportArgumentType]


def with_overrides(base: RunConfig, overrides: Overrides) -> RunConfig:
    """Return the config with the fields changed that were given.

    Text files, or the name of another corpus, replace the whole corpus; `loss.gamma` 0 alone makes plain cross-entropy.
    Paths of text files become absolute, so that the run can be scored from any folder.
    """
    value, corpus = to_json(base), overrides.get("corpus", {})
    name = corpus.get("name", "text" if any(corpus.get(split) for split in SPLITS) else base.corpus.name)
    if name != base.corpus.name:
        value["corpus"] |= dict.fromkeys(SPLITS) | {"name": name}
    if overrides.get("loss", {}).get("gamma") == 0:
        value["loss"] = to_json(LossConfig(label_smoothing=base.loss.label_smoothing))
    for section, fields in overrides.items():
        value[section] |= fields
    texts = {split: path for split in SPLITS if (path := value["corpus"][split]) is not None}
    value["corpus"] |= {split: str(expanded(path).absolute()) for split, path in texts.items()}
    return from_json(RunConfig, value)
