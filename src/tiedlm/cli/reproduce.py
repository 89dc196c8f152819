"""`tiedlm reproduce`: the paper's rows, what of them stands and what is missing; tables and figures from results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tiedlm.cli.parsing import Switch, parse
from tiedlm.errors import ArgumentError, RunError


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Show how far the paper is reproduced, or make its tables and figures anew from the published results.

    Targets are tables and figures (table1, table2, table3, table4, figure2) and rows, which have their recipes' names;
    none means all rows.
    """

    targets: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[TARGET ...]"), tyro.conf.Positional] = ()
    """Tables, figures or rows to list."""
    list: Switch = False
    """List rows: published, ours, seeds, what is missing, and what that would cost here."""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PART [PART ...]")] = ()
    """List only rows with these parts in their names, such as `small` or `real`."""
    json: Switch = False
    """List as JSON, with every missing training and its command."""
    render: Switch = False
    """Make every table and figure, and the generated parts of README.md and docs/reproduction.md."""
    check: Switch = False
    """Write nothing; fail where what is there is not what the results make."""
    project: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path(".")
    """Folder of the project, which holds `results/`, `docs/` and `README.md`."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "reproduce")
    _check(given)
    if given.render:
        _render(given.project, check=given.check)
    else:
        from tiedlm.cli.reproduce_list import print_list

        print_list(given.project / "results", given.targets, given.only, json=given.json)
    return 0


def _check(given: Arguments) -> None:
    """Refuse options that have no effect on each other."""
    if given.list == given.render:
        raise ArgumentError("Give either --list, to see what stands and what is missing, or --render.")
    listing = {"TARGET": given.targets, "--only": given.only, "--json": given.json}
    useless = [name for name, value in listing.items() if value] if given.render else ["--check"] * given.check
    if useless:
        raise ArgumentError(
            f"{', '.join(useless)} has no effect with --{'render' if given.render else 'list'}. Leave it out."
        )


def _render(project: Path, *, check: bool) -> None:
    from tiedlm.reproduction.render import changes, write

    if not check:
        written = write(project)
        for path in written:
            print(path)
        print(f"{len(written)} files were written; the others are as the results make them.")
        return
    if found := list(changes(project)):
        raise RunError(
            f"{len(found)} files are not as {project / 'results'} makes them: {', '.join(map(str, found))}. "
            "`tiedlm reproduce --render` makes them anew; pictures are equal to the byte only with the versions of "
            "matplotlib and pillow in constraints.txt."
        )
    print("Every table and figure is as the results make it.")
