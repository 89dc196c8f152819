"""What a run that goes on can be told: another runtime, and nothing else (refusals: `test_train`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.small_text import small_config
from tiedlm.checkpoint import RunFolder
from tiedlm.cli.train_resume import other_runtime
from tiedlm.cli.words import Words
from tiedlm.errors import ConfigError
from tiedlm.runs.config import RuntimeConfig
from tiedlm.training.moves import current_config, moves_of
from tiedlm.training.start import started


def words(*options: str) -> Words:
    return Words([], dict.fromkeys(options, "as given"))


def test_an_option_that_names_what_the_run_has_is_refused(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    given = RuntimeConfig(threads=config.runtime.threads, precision="bfloat16", save_seconds=0.0)
    assert other_runtime(words("resume"), config, config.runtime, tmp_path) is None
    assert other_runtime(words("runtime.precision"), config, given, tmp_path) == given
    with pytest.raises(ConfigError, match=r"--runtime.save-seconds has no effect: .* goes on with 0.0 anyway"):
        other_runtime(words("runtime.precision", "runtime.save-seconds"), config, given, tmp_path)


def test_a_run_goes_on_elsewhere_and_stays_there(tiedlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    run = started(small_config(tmp_path / "text"), tmp_path / "run", None, None, tmp_path / "cache").path
    answer = tiedlm("train", "--resume", run, "--runtime.precision", "bfloat16")
    assert answer.status == 0, answer.error
    folder = RunFolder.open(run)
    assert folder.has("scores")
    assert current_config(folder).runtime.precision == "bfloat16"
    assert len(moves_of(folder)) == 1
    assert folder.read_json("config")["runtime"]["precision"] == "float32"
    answer = tiedlm("train", "--resume", run, "--runtime.precision", "bfloat16")
    assert "--runtime.precision has no effect" in answer.error
