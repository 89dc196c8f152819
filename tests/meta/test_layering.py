"""A module imports only from rows above its own: the rows of the house, and their few exceptions, as one table."""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from meta.sources import PACKAGE, Import, Sources, files, imports, package_sources, project_imports, room

ROWS = (
    (
        "axes",
        "config",
        "derivatives",
        "devices",
        "errors",
        "files",
        "locations",
        "native",
        "product_rates",
        "ranks",
        "replay",
        "readings",
        "seeding",
    ),
    ("corpora", "layers", "losses", "theory", "tying"),
    ("models",),
    ("checkpoint",),
    ("evaluation",),
    ("training",),
    ("recipes",),
    ("launching",),
    ("hf", "reproduction"),
    ("cli",),
    ("__main__",),
)
ROW = {name: row for row, names in enumerate(ROWS) for name in names}

# A config is a leaf beside the code it configures: it knows row 0 and other configs, nothing else. That of a whole run
# stands above the run folder, which holds it, and not in the row of the training.
CONFIG_ROW = {"corpora": ROW["corpora"], "losses": ROW["losses"], "models": ROW["models"], "training": ROW["models"]}

ONLY_IMPORTED_BY = {"recipes": ("recipes", "launching", "reproduction", "cli")}


def is_config(module: str) -> bool:
    return module.count(".") == 2 and module.endswith(".config")


def row(module: str) -> int:
    return CONFIG_ROW[room(module)] if is_config(module) else ROW[room(module)]


def allowed(importer: str, target: str) -> bool:
    if target == PACKAGE or room(importer) not in ONLY_IMPORTED_BY.get(room(target), (room(importer),)):
        return False
    if is_config(importer):
        return row(target) == 0 or (is_config(target) and row(target) <= row(importer))
    if room(importer) == room(target) or row(importer) == 0 == row(target):
        return True
    return row(target) < row(importer)


def wrong_imports(sources: Sources) -> list[str]:
    """Imports that go down or sideways. The package's own `__init__` is a front door: it may import anything."""
    return [
        f"{importer}, line {one.line}: row {row(importer)} imports {target}"
        for importer in sources
        if importer != PACKAGE
        for target, one in project_imports(importer, sources)
        if not (target == PACKAGE and one.name == "__version__") and not allowed(importer, target)
    ]


def unplaced(sources: Sources) -> list[str]:
    names = [name for name in sources if name != PACKAGE]
    return [n for n in names if room(n) not in ROW or (is_config(n) and room(n) not in CONFIG_ROW)]


def relative(sources: Sources) -> list[str]:
    return [f"{name}, line {one.line}" for name in sources for one in imports(sources[name]) if one.module[:1] == "."]


def cycle(sources: Sources) -> list[str]:
    """One ring of modules that import each other, within functions too; empty where there is none."""
    graph = {
        importer: {target for target, one in project_imports(importer, sources) if not one.for_types} - {importer}
        for importer in sources
        if importer != PACKAGE
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def foreign(source: str) -> list[Import]:
    """Imports of anything but the standard library and this package."""
    known = {*sys.stdlib_module_names, PACKAGE}
    return [one for one in imports(source) if one.module.split(".")[0] not in known]


SOURCES = package_sources()


def test_modules_import_only_from_rows_above_their_own() -> None:
    assert unplaced(SOURCES) == [], "rooms that no row holds"
    assert wrong_imports(SOURCES) == []


def test_imports_are_written_with_the_whole_name() -> None:
    assert relative(SOURCES) == []


def test_no_modules_import_each_other_in_a_ring() -> None:
    assert cycle(SOURCES) == []


@pytest.mark.parametrize("module", [name for name in SOURCES if is_config(name)])
def test_configs_need_only_the_standard_library(module: str) -> None:
    assert foreign(SOURCES[module]) == []


@pytest.mark.parametrize("name", files("tests/oracles/*.py"))
def test_oracles_import_nothing_of_the_package(name: str) -> None:
    assert not any(one.module.split(".")[0] == PACKAGE for one in imports(files(name)[name].read_text()))


HOUSE = {
    name: ""
    for name in (
        "tiedlm",
        "tiedlm.errors",
        "tiedlm.files",
        "tiedlm.tying",
        "tiedlm.losses",
        "tiedlm.losses.chunked",
        "tiedlm.losses.config",
        "tiedlm.corpora.text",
        "tiedlm.corpora.config",
        "tiedlm.models.lstm",
        "tiedlm.models.config",
        "tiedlm.checkpoint.load",
        "tiedlm.training.loop",
        "tiedlm.training.config",
        "tiedlm.recipes.ptb",
        "tiedlm.launching.launcher",
        "tiedlm.hf.adapter",
        "tiedlm.reproduction.tables",
        "tiedlm.cli.main",
    )
}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tiedlm.files", "from tiedlm.tying import TiedTable"),
        ("tiedlm.errors", "from tiedlm.losses.config import LossConfig"),
        ("tiedlm.corpora.text", "import tiedlm.models.lstm"),
        ("tiedlm.corpora.text", "from tiedlm.losses import chunked"),
        ("tiedlm.losses.chunked", "def f():\n    from tiedlm.models.lstm import LSTMLanguageModel"),
        ("tiedlm.losses.chunked", "from tiedlm.tying import TiedTable"),
        ("tiedlm.losses.chunked", "from tiedlm.corpora.config import CorpusConfig"),
        ("tiedlm.losses.chunked", "from tiedlm import TiedTable"),
        ("tiedlm.losses.chunked", "import importlib\nimportlib.import_module('tiedlm.cli.main')"),
        ("tiedlm.losses.chunked", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tiedlm.cli.main"),
        ("tiedlm.losses.config", "from tiedlm.losses.chunked import loss"),
        ("tiedlm.losses.config", "from tiedlm.training.config import RunConfig"),
        ("tiedlm.models.lstm", "from tiedlm.training.config import RunConfig"),
        ("tiedlm.checkpoint.load", "from tiedlm.training.loop import train"),
        ("tiedlm.training.loop", "from tiedlm.recipes.ptb import ptb_small_vd"),
        ("tiedlm.training.loop", "from tiedlm.launching.launcher import launch"),
        ("tiedlm.launching.launcher", "from tiedlm.cli.main import main"),
        ("tiedlm.launching.launcher", "from tiedlm.reproduction.tables import table"),
        ("tiedlm.hf.adapter", "from tiedlm.recipes.ptb import ptb_small_vd"),
        ("tiedlm.hf.adapter", "from tiedlm.reproduction.tables import table"),
    ],
)
def test_an_import_down_or_sideways_is_found(module: str, source: str) -> None:
    assert len(wrong_imports({**HOUSE, module: source})) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tiedlm", "from tiedlm.cli.main import main"),
        ("tiedlm.files", "from tiedlm.errors import RunError"),
        ("tiedlm.losses.chunked", "from tiedlm import errors, __version__\nimport torch"),
        ("tiedlm.losses.chunked", "from tiedlm.losses.config import LossConfig"),
        ("tiedlm.training.config", "from tiedlm.models.config import LSTMConfig"),
        ("tiedlm.training.config", "from tiedlm.corpora.config import CorpusConfig"),
        ("tiedlm.checkpoint.load", "from tiedlm.training.config import RunConfig"),
        ("tiedlm.reproduction.tables", "from tiedlm.recipes.ptb import ptb_small_vd"),
        ("tiedlm.launching.launcher", "from tiedlm.recipes.ptb import ptb_small_vd"),
        ("tiedlm.reproduction.tables", "from tiedlm.launching.launcher import launch"),
        ("tiedlm.cli.main", "from tiedlm.recipes import ptb"),
    ],
)
def test_an_import_from_above_passes(module: str, source: str) -> None:
    assert wrong_imports({**HOUSE, module: source}) == []


def test_the_other_checks_can_fail() -> None:
    assert unplaced({**HOUSE, "tiedlm.misc": ""}) == ["tiedlm.misc"]
    assert unplaced({**HOUSE, "tiedlm.hf.config": ""}) == ["tiedlm.hf.config"]
    assert relative({"tiedlm.losses.chunked": "from . import functional"}) == ["tiedlm.losses.chunked, line 1"]
    ring = {"tiedlm.a": "import tiedlm.b", "tiedlm.b": "def f():\n    from tiedlm import a"}
    assert set(cycle(ring)) == {"tiedlm.a", "tiedlm.b"}
    assert [one.module for one in foreign("import json\ndef f():\n    import numpy.linalg")] == ["numpy.linalg"]
