"""`tiedlm train --resume RUN`: what may stand beside it. A run goes on as it was, or elsewhere, or for longer."""

from __future__ import annotations

from pathlib import Path

from tiedlm.cli.recipe_config import SECTIONS, recipe_config
from tiedlm.cli.words import Words
from tiedlm.errors import ConfigError
from tiedlm.runs.config import RunConfig, RuntimeConfig

LONGER = "training.epochs"
"""The option by which a run goes on for longer, in a folder of its own."""

FIXED = (*(section for section in SECTIONS if section != "runtime"), "seed", "run-dir", "from")
"""Options, and sections of options, that a run that goes on has no use for."""


def check_nothing_else_changes(words: Words, config: RunConfig, run: Path) -> None:
    """Refuse what would change a run that goes on, its runtime and its epochs aside.

    Raises:
        ConfigError: the option, and what to do instead.
    """
    free = (LONGER, "run-dir") if LONGER in words.options else (LONGER,)
    fixed = [name for name in words.options if name.partition(".")[0] in FIXED and name not in free]
    if fixed == ["run-dir"]:
        raise ConfigError(
            f"--run-dir has no effect beside --resume without --{LONGER}: the training goes on in {run}. Leave it out."
        )
    if fixed:
        raise ConfigError(
            f"--{fixed[0]} has no effect beside --resume: the config of {run} is fixed. Leave it out, or train anew "
            "without --resume."
        )
    if words.others and recipe_config(words.others[0]).recipe != config.recipe:
        raise ConfigError(
            f"{run} is a run of the recipe {config.recipe!r}, not of {words.others[0]!r}: leave the recipe out, or "
            "resume another run."
        )


def other_runtime(words: Words, config: RunConfig, given: RuntimeConfig, run: Path) -> RuntimeConfig | None:
    """Return the runtime to go on with; None where no option names another one.

    Args:
        words: the command line.
        config: of the run, with the runtime that it has now.
        given: the runtime as the options change it.
        run: the run folder.

    Raises:
        ConfigError: an option that names what the run has already.
    """
    for option in words.options:
        section, _, name = option.partition(".")
        field = name.replace("-", "_")
        if section == "runtime" and getattr(given, field) == getattr(config.runtime, field):
            raise ConfigError(
                f"--{option} has no effect: {run} goes on with {getattr(given, field)} anyway. Leave it out."
            )
    return given if given != config.runtime else None
