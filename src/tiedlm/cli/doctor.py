"""`tiedlm doctor`: what this installation consists of, what it can use, and where things live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiedlm.cli.output import print_json, print_table, print_values
from tiedlm.cli.parsing import Directory, Switch, parse


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Print versions, devices, threads, where data, caches and runs live, and which corpora are found."""

    data_dir: Directory = None
    """Folder to look for corpora in; without it the usual data folder."""
    json: Switch = False
    """Print JSON."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status: 0 where all is well, 1 where something is in the way."""
    given = parse(Arguments, arguments, "doctor")
    from tiedlm.cli import examination

    versions, machine = examination.versions(), examination.machine()
    places = examination.places(given.data_dir)
    corpora = examination.corpora(given.data_dir)
    problems = examination.problems(versions, places)
    if given.json:
        listed = [{"name": place.name, "path": str(place.path), "set_by": place.set_by} for place in places]
        report = {"versions": versions, "machine": machine, "places": listed, "corpora": corpora, "problems": problems}
        print_json(report)
    else:
        print_values({**versions, **machine})
        print_table(("place", "folder", "set by", "state"), [place.row() for place in places], align="l")
        print_table(("corpus", "state"), list(corpora.items()), align="l")
        print_values({"problems": "; ".join(problems) or "none"})
    return 1 if problems else 0
