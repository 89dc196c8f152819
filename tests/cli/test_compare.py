"""`tiedlm compare` and `analyze`. Mistakes: golden/errors.txt."""

import json
import shutil
from dataclasses import replace

from support.runs import SCORE, quick_config, write_run
from support.small_text import small_config
from tiedlm.cli import compare
from tiedlm.cli.compare import is_changed, summarize
from tiedlm.evaluation.perplexity import PROTOCOL
from tiedlm.nn.config import LSTMConfig
from tiedlm.paper.published import PUBLISHED
from tiedlm.recipes import recipe
from tiedlm.runs.folder import Progress, RunFolder
from tiedlm.runs.load import load_run
from tiedlm.training import loop
from tiedlm.training.display import SilentDisplay


def make(path, config, *, scored=None):
    progress = Progress(
        generation=2, epoch=5, best_epoch=3, best_valid_perplexity=90.5, seconds=1.5, total_seconds=60.0
    )
    return write_run(path, config, progress=progress, scores=scored).path


def test_a_finished_run_is_summarized_without_its_weights(tmp_path):
    reached = {split: SCORE | {"perplexity": value} for split, value in (("valid", 90.0), ("test", 86.0))}
    scored = {**reached, "protocol": "every word"}
    run = summarize(make(tmp_path / "run", replace(recipe("ptb-small-re"), seed=4), scored=scored))
    published = PUBLISHED["ptb-small-re"]
    assert (run.recipe, run.changed, run.seed, run.trainings) == ("ptb-small-re", False, 4, 2)
    assert (run.valid, run.test, run.protocol) == (90.0, 86.0, "every word")
    assert (run.paper_valid, run.paper_test) == (published.valid, published.test) == (89.9, 85.1)
    assert (run.epochs, run.best_epoch, run.seconds) == (4, 3, 61.5)
    # three words of 200, two layers of (200 + 200 inputs, 1 bias) x 4 x 200
    assert run.parameters == 3 * 200 + 2 * (400 + 1) * 800


def test_seed_and_machine_do_not_change_a_recipe():
    config = recipe("ptb-small-real")
    assert not is_changed(replace(config, seed=9, runtime=replace(config.runtime, threads=7, save_seconds=1.0)))
    assert is_changed(replace(config, model=replace(config.model, units=3)))
    assert is_changed(replace(config, recipe="unheard-of"))


def test_parameters_are_those_of_the_model_counted_without_allocating_them(tiny, tmp_path):
    assert summarize(tiny / "run").parameters == load_run(tiny / "run").model.parameter_count()
    config = replace(small_config(tmp_path), model=LSTMConfig(units=100_000, layers=2))
    assert summarize(make(tmp_path / "run", config)).parameters > 1.6e11


def test_runs_stand_below_each_other_under_one_protocol(tiedlm, tiny):
    answer = tiedlm("compare", tiny / "run", tiny / "run")
    heading, first, second, protocol = answer.output.splitlines()
    assert (answer.status, answer.error) == (0, "")
    assert heading.split()[:4] == ["run", "recipe", "parameters", "trainings"]
    assert first == second
    assert protocol == f"protocol: {PROTOCOL}"
    recorded = RunFolder.open(tiny / "run").scores()
    for split in ("valid", "test"):
        assert f"{recorded[split]['perplexity']:.2f}" in first
    assert first.split()[-1] == "-"
    (run,) = json.loads(tiedlm("compare", tiny / "run", "--json").output)
    assert (run["valid"], run["test"]) == (recorded["valid"]["perplexity"], recorded["test"]["perplexity"])
    assert (run["recipe"], run["seed"], run["epochs"], run["paper_test"]) == ("small", 3, 2, None)


def test_published_figures_stand_beside_their_recipe_and_protocols_are_not_mixed(tiedlm, tiny, monkeypatch):
    published = {"recipe": "ptb-small-re", "changed": False, "paper_valid": 89.9, "paper_test": 85.1}
    for trainings in (1, 2):
        fields = published | {"trainings": trainings, "paper_trainings": 2}
        monkeypatch.setattr(compare, "summarize", lambda path, fields=fields: replace(summarize(path), **fields))
        output = tiedlm("compare", tiny / "run").output
        assert output.splitlines()[1].endswith(" 89.9 / 85.1")
        assert (f"{tiny / 'run'}: one training; the paper's figures: 2 trainings" in output) == (trainings == 1)
        assert ("the paper's figures" in output) == (trainings == 1)
    numbers = iter("12")
    monkeypatch.setattr(compare, "summarize", lambda path: replace(summarize(path), protocol=next(numbers)))
    answer = tiedlm("compare", tiny / "run", tiny / "run")
    assert answer.output.splitlines()[-2:] == ["protocol: 1", "protocol: 2"]
    assert "their figures do not compare" in answer.error


def test_the_analysis_as_json_and_as_tables(tiedlm, tiny):
    report = json.loads(tiedlm("analyze", tiny / "run", "--json", "--neighbours", "2").output)
    assert (report["split"], report["protocol"], report["less_first_run"]) == ("test", PROTOCOL, {})
    run = report["runs"][str(tiny / "run")]
    assert run["score"] == RunFolder.open(tiny / "run").scores()["test"]
    assert set(run["probability"]) >= {"<unk>", "target", f"2 nearest by {tiny / 'run'}"}
    assert sum(band["targets"] for band in run["bands"]) == run["score"]["words"]
    lines = tiedlm("analyze", tiny / "run", "--neighbours", "2").output.splitlines()
    band, estimate = run["bands"][0], run["probability"]["target"]
    numbers = [band[name] for name in ("nll_nats", "squared_norm")]
    assert lines[2].split()[2:] == [str(band["targets"]), *(f"{number:.3f}" for number in numbers), "-"]  # tied
    geometry = lines[lines.index("features, word vectors, and the distance of vectors and classifier") + 2].split()
    assert (geometry[1], geometry[-2:]) == (f"{run['score']['perplexity']:.2f}", ["-", "-"])
    (row,) = [line.split() for line in lines if line.startswith("target ")]
    numbers = [f"{number:.6f}" for number in (estimate["mean"], *estimate["interval"])]
    assert row == ["target", *numbers, str(estimate["words"])]
    assert (lines[-3], lines[-1]) == ("split: test", f"protocol: {PROTOCOL}")


def test_a_run_less_itself_is_nothing(tiedlm, tiny, tmp_path):
    shutil.copytree(tiny / "run", tmp_path / "copy")
    report = json.loads(tiedlm("analyze", tiny / "run", tmp_path / "copy", "--json", "--neighbours", "1").output)
    (differences,) = report["less_first_run"].values()
    assert {estimate["mean"] for estimate in differences.values() if estimate} == {0}
    output = tiedlm("analyze", tiny / "run", tmp_path / "copy").output
    assert f"\nmean probability, {tmp_path / 'copy'} less {tiny / 'run'}\n" in output


def test_runs_on_different_texts_are_refused(tiedlm, tiny, tmp_path):
    config = quick_config(tmp_path)
    with (tmp_path / "test.txt").open("a") as file:
        file.write("a dog sees the cat\n")
    other = loop.train(config, tmp_path / "run", cache_dir=tmp_path / "cache", display=SilentDisplay()).path
    answer = tiedlm("analyze", tiny / "run", other)
    assert (answer.status, answer.output) == (2, "")
    assert f"{other} and {tiny / 'run'} were trained on different texts" in answer.error
