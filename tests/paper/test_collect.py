"""Results become rows; each thing that could make a figure wrong is refused by name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.published_results import add_group, add_points, add_result, reseal
from tiedlm.config import to_json
from tiedlm.errors import RunError
from tiedlm.paper import differences
from tiedlm.paper.collect import collect, stages
from tiedlm.paper.published import PUBLISHED
from tiedlm.recipes import recipe

RE = "ptb-small-re"


def test_every_row_of_the_paper_is_there_run_or_not(tmp_path: Path) -> None:
    add_result(tmp_path, RE, 0, 87.0)
    rows = collect(tmp_path)
    assert list(rows) == list(PUBLISHED)
    assert {name for name, row in rows.items() if row.results} == {RE}
    assert rows["ptb-small-vd"].perplexity("test", 1) is None
    assert rows["ptb-small-vd"].trainings() == []


def test_first_and_second_trainings_are_kept_apart(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"re": [(87.0, 85.0), (88.0,), (89.0, 86.0)]})
    row = collect(tmp_path)[RE]
    assert row.trainings() == [1, 2]
    first, second = row.perplexity("test", 1), row.perplexity("test", 2)
    assert first is not None
    assert second is not None
    assert first.by_seed == pytest.approx({0: 87.0, 1: 88.0, 2: 89.0}, rel=1e-12)
    assert second.by_seed == pytest.approx({0: 85.0, 2: 86.0}, rel=1e-12)
    valid = row.perplexity("valid", 2)
    assert valid is not None
    assert valid.mean == pytest.approx(90.5, rel=1e-12)
    assert [stage.provenance["trainings"] for stage in stages(row.results[0])] == [1, 2]


def test_seeds_stand_in_order(tmp_path: Path) -> None:
    for seed in (10, 2, 0):
        add_result(tmp_path, RE, seed, 87.0)
    assert list(collect(tmp_path)[RE].results) == [0, 2, 10]


def test_results_of_other_recipes_and_of_figure_1_are_no_rows(tmp_path: Path) -> None:
    add_result(tmp_path, "demo-real", 0, 90.0)
    add_points(tmp_path)
    (tmp_path / "notes.md").write_text("words")
    assert not any(row.results for row in collect(tmp_path).values())


def test_results_of_the_halves_count_the_whole_valid_and_test_text(tmp_path: Path) -> None:
    add_result(tmp_path, "wikitext2-half1-small-vd", 0, 150.0)
    row = collect(tmp_path)["wikitext2-half1-small-vd"]
    assert row.results[0].scores["test"]["words"] == 245_569


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="results is not a folder"):
        collect(tmp_path / "results")


def test_a_folder_of_no_recipe(tmp_path: Path) -> None:
    add_result(tmp_path, RE, 0, 87.0)
    (tmp_path / RE).rename(tmp_path / "ptb-small-er")
    with pytest.raises(RunError, match=r"no recipe of that name\. Did you mean 'ptb-small-re'\?"):
        collect(tmp_path)


def test_a_result_in_another_recipes_folder(tmp_path: Path) -> None:
    add_result(tmp_path, RE, 0, 87.0)
    (tmp_path / RE).rename(tmp_path / "ptb-small-vd")
    with pytest.raises(RunError, match="is a result of the recipe 'ptb-small-re', not of 'ptb-small-vd'"):
        collect(tmp_path)


def test_two_results_of_one_seed(tmp_path: Path) -> None:
    folder = add_result(tmp_path, RE, 0, 87.0)
    shutil.copytree(folder, folder.with_name("seed-0-again"))
    with pytest.raises(RunError, match=r"seed-0 and .*seed-0-again are both results of seed 0"):
        collect(tmp_path)


def test_a_result_under_another_seeds_name(tmp_path: Path) -> None:
    folder = add_result(tmp_path, RE, 0, 87.0)
    folder.rename(folder.with_name("seed-1"))
    with pytest.raises(RunError, match="seed-1 is a result of seed 0"):
        collect(tmp_path)


def test_one_run_under_two_seeds(tmp_path: Path) -> None:
    first, second = (add_result(tmp_path, RE, seed, 87.0) for seed in (0, 1))
    weights = json.loads((first / "provenance.json").read_bytes())["weights_sha256"]
    reseal(second, weights_sha256=weights)
    with pytest.raises(RunError, match="are of the same weights"):
        collect(tmp_path)


def test_two_protocols(tmp_path: Path) -> None:
    add_result(tmp_path, RE, 0, 87.0)
    add_result(tmp_path, "ptb-small-vd", 0, 88.0, protocol="in batches of twenty")
    with pytest.raises(RunError, match=r"2 protocols.*'every word once'.*'in batches of twenty'"):
        collect(tmp_path)


def test_an_edited_config(tmp_path: Path) -> None:
    path = add_result(tmp_path, RE, 0, 87.0) / "config.json"
    path.write_text(path.read_text().replace('"epochs": 40', '"epochs": 41'))
    with pytest.raises(RunError, match=r"config\.json is damaged or was edited"):
        collect(tmp_path)


@pytest.mark.parametrize("second", [False, True])
def test_a_recipe_that_has_changed_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: bool) -> None:
    add_result(tmp_path, RE, 0, *((87.0, 85.0) if second else (87.0,)))
    now = recipe(RE)
    changed = replace(now, training=replace(now.training, decay=0.8))
    monkeypatch.setattr(differences, "recipe", lambda name: changed)
    with pytest.raises(
        RunError, match=r"recipe as it is now.*training\.decay is 0\.9, the recipe's 0\.8.*train it again"
    ):
        collect(tmp_path)


def test_a_config_of_its_own_under_a_recipes_name(tmp_path: Path) -> None:
    own = replace(recipe(RE), model=replace(recipe(RE).model, units=300))
    add_result(tmp_path, RE, 0, 87.0, config=own)
    with pytest.raises(RunError, match=r"model\.units is 300, the recipe's 200"):
        collect(tmp_path)


def test_another_text_than_published(tmp_path: Path) -> None:
    folder = add_result(tmp_path, RE, 0, 87.0)
    texts = json.loads((folder / "provenance.json").read_bytes())["texts_sha256"]
    reseal(folder, texts_sha256=texts | {"valid": "0" * 64})
    with pytest.raises(RunError, match="another valid text than the published one of ptb"):
        collect(tmp_path)


def test_a_newer_version(tmp_path: Path) -> None:
    reseal(add_result(tmp_path, RE, 0, 87.0), version=3)
    with pytest.raises(RunError, match="is of version 3"):
        collect(tmp_path)


def test_a_stray_file_beside_the_results(tmp_path: Path) -> None:
    (add_result(tmp_path, RE, 0, 87.0).parent / "notes.txt").write_text("x")
    with pytest.raises(RunError, match=r"notes\.txt is not a published result"):
        collect(tmp_path)


def test_what_a_killed_process_left_of_publishing_is_no_result(tmp_path: Path) -> None:
    add_result(tmp_path, RE, 0, 87.0)
    (tmp_path / RE / f"seed-1.partial-{'0' * 32}").mkdir()
    assert list(collect(tmp_path)[RE].results) == [0]
    (tmp_path / RE / f"seed-1.partial-{'0' * 31}").mkdir()
    with pytest.raises(RunError, match="is not a published result"):
        collect(tmp_path)


def test_what_an_invented_result_holds_is_what_a_recipe_says() -> None:
    """The support of these tests, held against the real thing."""
    assert set(to_json(recipe(RE))) == {"recipe", "seed", "corpus", "model", "loss", "training", "runtime"}
