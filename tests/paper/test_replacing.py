"""What stands where a run is to be published. How `publish` uses it is tested there."""

from __future__ import annotations

import json

import pytest

from support.files import files
from support.invented_analysis import CHANCES
from support.published_results import add_result, reseal
from tiedlm.errors import RunError
from tiedlm.paper.replacing import analyses_of, check_free, differing


def test_files_that_differ_lack_or_are_too_many_are_named(tmp_path):
    folder = add_result(tmp_path, "ptb-small-re", 0, 87.0, 85.0)
    wanted = files(folder)
    assert differing(folder, wanted) == []
    (folder / "first-training" / "scores.json").write_text("{}")
    (folder / "config.json").unlink()
    (folder / "notes.txt").write_text("mine")
    assert differing(folder, wanted) == ["config.json", "first-training/scores.json", "notes.txt"]
    assert differing(tmp_path / "elsewhere", {"a": b""}) == ["a"]


def test_an_analysis_makes_no_other_result(tmp_path):
    bare = files(add_result(tmp_path / "bare", "ptb-small-re", 0, 87.0, 85.0))
    folder = add_result(tmp_path / "full", "ptb-small-re", 0, 87.0, 85.0, chances=CHANCES)
    check_free(folder, bare)
    check_free(tmp_path / "nowhere", bare)
    reseal(folder, commit="another")
    with pytest.raises(RunError, match=r"another result already \(provenance\.json differ\)"):
        check_free(folder, bare)


@pytest.mark.parametrize("content", [b"{", b"[]"])
def test_a_provenance_that_is_none_is_another(tmp_path, content):
    folder = add_result(tmp_path, "ptb-small-vd", 0, 87.0)
    wanted = files(folder)
    (folder / "provenance.json").write_bytes(content)
    with pytest.raises(RunError, match=r"provenance\.json differ"):
        check_free(folder, wanted)


def test_analyses_are_known_by_their_weights(tmp_path):
    folder = add_result(tmp_path, "ptb-small-re", 0, 87.0, 85.0, chances=CHANCES)
    weights = [
        json.loads((folder / inner / "provenance.json").read_bytes())["weights_sha256"]
        for inner in ("first-training", "")
    ]
    found = analyses_of(folder, even_damaged=False)
    assert list(found) == weights
    assert found[weights[0]] == (folder / "first-training" / "analysis.json").read_bytes()
    assert analyses_of(add_result(tmp_path, "ptb-small-vd", 0, 87.0), even_damaged=False) == {}
    assert analyses_of(tmp_path / "nowhere", even_damaged=False) == {}


def test_a_damaged_result_has_none_only_where_that_is_asked_for(tmp_path):
    folder = add_result(tmp_path, "ptb-small-vd", 0, 87.0, chances=CHANCES)
    (folder / "analysis.json").write_text("{}")
    with pytest.raises(RunError, match=r"analysis\.json is damaged or was edited"):
        analyses_of(folder, even_damaged=False)
    assert analyses_of(folder, even_damaged=True) == {}
