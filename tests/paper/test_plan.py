"""What is reproduced, what is missing, what that would cost, and what trains it."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.results import add_group, add_result, move_to
from support.runs import EPOCHS, journal, make_run, recipe_config, write_run
from tiedlm.config import to_json
from tiedlm.errors import ArgumentError
from tiedlm.paper.plan import (
    SEEDS,
    TARGETS,
    default_conditions,
    estimate,
    flops_per_word,
    missing,
    select,
    stands,
    summary_text,
    trainings,
)
from tiedlm.paper.published import PUBLISHED, ROWS
from tiedlm.paper.results import Row, read_rows
from tiedlm.recipes import recipe
from tiedlm.runs.config import LossConfig

HERE = default_conditions("a processor")


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, Row]:
    """Two rows with three seeds, one of which lacks second trainings."""
    results = tmp_path / "results"
    add_group(results, "ptb-small", {"re": [(87.0, 85.0), (88.0,), (88.5, 85.5)], "vd": [(87.0,)] * 3})
    return read_rows(results)


def test_a_row_stands_up_to_half_a_point_above_the_paper_as_printed(tmp_path: Path) -> None:
    for number, (test, verdict) in enumerate([(87.8, True), (87.804, True), (87.806, False), (80.0, True)]):
        add_result(tmp_path / str(number), "ptb-small-vd", 0, test)
        assert stands(read_rows(tmp_path / str(number))["ptb-small-vd"]) is verdict


def test_only_figures_after_as_many_trainings_as_the_papers_count(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-re", 0, 70.0)
    add_result(tmp_path, "ptb-small-re-bias", 0, 70.0, 69.0)
    add_result(tmp_path, "ptb-small-re-uniform", 0, 70.0, processor="third")
    rows = read_rows(tmp_path)
    assert [stands(rows[name]) for name in ("ptb-small-re", "ptb-small-re-bias", "ptb-large-vd")] == [None] * 3
    text = summary_text(rows)
    assert text.startswith("Reproduced: 0 of 30 published rows. Run, trained as often as in the paper: 0. Not run: 30.")
    assert "process: 3.0 on a processor.\n" in text  # controls are no rows


def test_hours_count_every_training_where_its_epochs_ended(tmp_path: Path, rows: dict[str, Row]) -> None:
    assert "process: 8.0 on a processor.\n" in summary_text(rows)
    add_result(tmp_path / "results", "ptb-small-al", 0, 88.0, moves=[move_to("elsewhere", 31)])
    text = summary_text(read_rows(tmp_path / "results"))
    assert "8.8 on a processor, 0.2 on elsewhere" in text
    assert text.startswith("Reproduced: 2 of 30 published rows. Run, trained as often as in the paper: 2. Not run: 28.")


def test_targets_are_tables_figures_and_rows_in_the_papers_order() -> None:
    assert select(()) == list(PUBLISHED)
    assert select(("table1",)) == [name for name, row in ROWS.items() if row.table == "Table 1"]
    assert select(("ptb-small-re", "ptb-small-vd")) == ["ptb-small-vd", "ptb-small-re"]
    assert select(("table3",)) == ["ptb-large-real", "ptb-rhn-vd", "ptb-rhn-re", "ptb-rhn-real"]
    assert select(("table1",), ("small", "real")) == ["ptb-small-real", "wikitext2-small-real"]
    assert len(TARGETS["controls"]) == 24
    assert select(("beside",)) == ["ptb-small-re-bias", "ptb-small-real-bias"]


@pytest.mark.parametrize(
    ("targets", "only", "message"),
    [
        (("tabel1",), (), "no table, figure or row 'tabel1'. Did you mean 'table1'"),
        (("table1",), ("smal",), "No row has 'smal' in its name. Did you mean 'small'"),
        (("table4",), ("small",), "No row of table4 has small"),
    ],
)
def test_what_selects_nothing_is_refused(targets: tuple[str, ...], only: tuple[str, ...], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        select(targets, only)


def test_missing_trainings_are_cheapest_first_a_second_after_its_first(rows: dict[str, Row]) -> None:
    lacking = missing(["ptb-large-vd", "ptb-small-re"], rows, "a processor", (0, 1, 3))
    assert [(each.recipe, each.seed, each.training) for each in lacking] == [
        ("ptb-small-re", 1, 2),
        ("ptb-small-re", 3, 1),
        ("ptb-small-re", 3, 2),
        *(("ptb-large-vd", seed, 1) for seed in (0, 1, 3)),
    ]
    assert missing(["ptb-small-vd"], rows, "a processor") == []
    empty = {name: replace(row, results={}) for name, row in rows.items()}
    assert [each.estimate for each in missing(["ptb-large-vd"], empty, "a processor")] == [None] * len(SEEDS)


def test_work_is_that_of_the_matrix_products() -> None:
    small = recipe("ptb-small-vd")
    assert flops_per_word(small) == 6 * 10_000 * 200 + 48 * 2 * 200**2
    augmented = LossConfig(gamma=0.5, temperature=20.0)
    assert flops_per_word(replace(small, loss=augmented)) == pytest.approx(1.52 * 6 * 10_000 * 200 + 48 * 2 * 200**2)
    detached = replace(augmented, detach_target=True)
    assert flops_per_word(replace(small, loss=detached)) == pytest.approx(1.17 * 6 * 10_000 * 200 + 48 * 2 * 200**2)
    assert flops_per_word(recipe("ptb-rhn-vd")) == 6 * 10_000 * 830 + 12 * 11 * 830**2


def test_a_cost_is_carried_over_by_work_from_what_was_recorded(rows: dict[str, Row]) -> None:
    own = estimate("ptb-small-vd", rows, HERE)
    assert own is not None
    assert (own.seconds, own.conditions, own.of_size) == (pytest.approx(40 * 90.0), HERE, "small")
    factor = flops_per_word(recipe("ptb-small-al")) / flops_per_word(recipe("ptb-small-vd"))
    other = estimate("ptb-small-al", rows, HERE)
    assert other is not None
    assert other.seconds == pytest.approx(factor * 40 * 90.0)
    large = estimate("ptb-large-vd", rows, HERE)
    assert large is not None
    assert large.of_size == "small"


def test_the_nearest_conditions_count_machine_first_then_precision(tmp_path: Path) -> None:
    config = recipe("ptb-small-vd")
    bfloat16 = replace(config, runtime=replace(config.runtime, precision="bfloat16"))
    add_result(tmp_path, "ptb-small-vd", 0, 87.0, processor="other", seconds=10.0)
    add_result(tmp_path, "ptb-small-vd", 1, 87.0, processor="here", config=bfloat16, seconds=20.0)
    add_result(tmp_path, "ptb-medium-vd", 0, 80.0, processor="here", seconds=300.0)
    rows = read_rows(tmp_path)
    for name, machine, precision, seconds in [
        ("ptb-small-vd", "here", "float32", 20.0),
        ("ptb-small-vd", "other", "bfloat16", 10.0),
        ("ptb-medium-vd", "other", "float32", 300.0),
    ]:
        cost = estimate(name, rows, default_conditions(machine, precision))  # pyright: ignore[reportArgumentType]
        assert cost is not None
        assert cost.seconds == pytest.approx(recipe(name).training.epochs * seconds)
    large = estimate("ptb-large-vd", rows, default_conditions("here"))
    assert large is not None
    assert large.of_size == "medium"  # of other sizes the one of the nearest work


def test_trainings_begin_resume_or_publish_and_repeat_a_first_whose_weights_are_gone(
    tmp_path: Path, rows: dict[str, Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path / "runs"))
    runs = tmp_path / "runs"
    make_run(runs / "ptb-small-re-seed-3", config=to_json(recipe_config(seed=3)))
    write_run(runs / "ptb-small-re-seed-4", events=journal(EPOCHS // 2))
    plan = trainings(missing(["ptb-small-re"], rows, "a processor", (1, 3, 4)))
    commands = {each.run_dir.name: each.command({}) for each in plan}
    assert commands == {
        "ptb-small-re-seed-1": f"tiedlm train ptb-small-re --seed 1 --run-dir {runs}/ptb-small-re-seed-1",
        "ptb-small-re-seed-1-second": f"tiedlm train ptb-small-re --seed 1 --run-dir {runs}/ptb-small-re-seed-1-second "
        f"--from {runs}/ptb-small-re-seed-1",
        "ptb-small-re-seed-3": f"tiedlm publish {runs}/ptb-small-re-seed-3",
        "ptb-small-re-seed-3-second": f"tiedlm train ptb-small-re --seed 3 --run-dir {runs}/ptb-small-re-seed-3-second "
        f"--from {runs}/ptb-small-re-seed-3",
        "ptb-small-re-seed-4": f"tiedlm train --resume {runs}/ptb-small-re-seed-4",
        "ptb-small-re-seed-4-second": f"tiedlm train ptb-small-re --seed 4 --run-dir {runs}/ptb-small-re-seed-4-second "
        f"--from {runs}/ptb-small-re-seed-4",
    }
    seconds = {each.run_dir.name: (each.done, each.seconds) for each in plan}
    assert seconds["ptb-small-re-seed-3"] == (1.0, 0.0)
    assert seconds["ptb-small-re-seed-4"] == (0.5, pytest.approx(20 * 90.0))
