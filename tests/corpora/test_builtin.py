from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tiedlm.corpora.builtin import build, split_of, unit_lines
from tiedlm.corpora.encode import SPLITS
from tiedlm.corpora.text import pieces
from tiedlm.errors import CorpusError


class Built(NamedTuple):
    folder: Path
    provenance: dict[str, Any]

    def lines(self, split: str) -> list[str]:
        return (self.folder / f"{split}.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("builtin")
    return Built(folder, build(folder))


def small_library(folder: Path, modules: dict[str, str]) -> Path:
    (folder / "pydoc_data").mkdir(parents=True)
    (folder / "pydoc_data" / "topics.py").write_text("topics = {}\n")
    for name, docstring in modules.items():
        (folder / f"{name}.py").write_text(f'"""{docstring}"""\n')
    return folder


def test_another_process_makes_the_same_bytes(built: Built, tmp_path: Path) -> None:
    program = "import sys, json, pathlib; from tiedlm.corpora.builtin import build; "
    program += "print(json.dumps(build(pathlib.Path(sys.argv[1])))); assert 'torch' not in sys.modules"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    run = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(run, env=environment, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == built.provenance
    for split in SPLITS:
        assert (tmp_path / f"{split}.txt").read_bytes() == (built.folder / f"{split}.txt").read_bytes()


def test_no_sentence_stands_twice_in_or_between_splits(built: Built) -> None:
    lines = [line for split in SPLITS for line in built.lines(split)]
    assert len(lines) > 10_000
    assert len(set(lines)) == len(lines)


def test_every_module_is_in_one_split_and_the_splits_share_no_package(built: Built) -> None:
    modules = [unit for split in SPLITS for unit in built.provenance["splits"][split]["modules"]]
    assert len(set(modules)) == len(modules)
    assert {"module asyncio", "module argparse", "topic class"} < set(modules)
    assert not any("." in unit or "/" in unit for unit in modules)  # packages whole
    assert not any("test" in unit.split("_") for unit in modules)


def test_provenance_tells_what_was_written(built: Built) -> None:
    assert built.provenance["python"] == platform.python_version()
    assert built.provenance["rule_version"] >= 1
    for split, told in built.provenance["splits"].items():
        path = built.folder / f"{split}.txt"
        assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        read = [(len(piece.words) - piece.lines, piece.lines) for piece in pieces(path)]
        assert (told["words"], told["lines"]) == (sum(words for words, _ in read), sum(lines for _, lines in read))


def test_sizes_and_shares(built: Built) -> None:
    words = {split: told["words"] for split, told in built.provenance["splits"].items()}
    total = sum(words.values())
    assert 150_000 < total < 600_000
    assert 0.7 < words["train"] / total < 0.9
    assert all(0.05 < words[split] / total < 0.15 for split in ("valid", "test"))


def test_it_reads_as_prose(built: Built) -> None:
    lines = [line for split in SPLITS for line in built.lines(split)]
    words = [word for line in lines for word in line.split(" ")]
    assert all(word for word in words)  # single blanks, no empty line
    assert not {">>>", "::", "::=", "=", "->", "{", "[", "|"}.intersection(words)
    assert not [word for word in words if (len(word) > 1 and word[-1] in ",;:?!()") or "://" in word]
    assert all(word.replace("N", "").lower() == word.replace("N", "") for word in words)
    ended = sum(line.endswith((".", "?", "!", ":")) for line in lines)
    common = sum(words.count(word) for word in ("the", "a", "of", "to", "is", "and", "in"))
    assert ended > 0.85 * len(lines)
    assert common > 0.15 * len(words)  # as in any English text


def test_a_sentence_is_kept_where_it_is_met_first() -> None:
    units = {"topic b": ["This is one. This is two."], "module a": ["This is two. This is one.", "This is new."]}
    assert unit_lines(units) == {"topic b": ["this is one .", "this is two ."], "module a": ["this is new ."]}
    assert unit_lines({"module a": ["This is one."], "module b": ["This is one."]}) == {"module a": ["this is one ."]}


def test_units_are_split_by_a_fixed_hash_of_their_name() -> None:
    splits = {unit: split_of(unit) for unit in ("module json", "module bisect", "module argparse", "topic class")}
    assert splits == {
        "module json": "train",
        "module bisect": "valid",
        "module argparse": "test",
        "topic class": "valid",
    }
    many = [split_of(f"module {number}") for number in range(20_000)]
    assert {split: round(many.count(split) / len(many), 1) for split in SPLITS} == {
        "train": 0.8,
        "valid": 0.1,
        "test": 0.1,
    }


def test_a_small_library_to_the_byte(tmp_path: Path) -> None:
    modules = {
        "json": "This is last. This is first.",
        "bisect": "This is next. This is first.",
        "argparse": "Parse what is given.",
    }
    library = small_library(tmp_path / "library", {**modules, "mine": "This is not of the library."})
    told = build(tmp_path, library)
    # in the order of names, bisect is before json and keeps the sentence of both
    assert (tmp_path / "train.txt").read_text() == "this is last .\n"
    assert (tmp_path / "test.txt").read_text() == "parse what is given .\n"
    assert (tmp_path / "valid.txt").read_text() == "this is next .\nthis is first .\n"
    assert told["splits"]["valid"]["modules"] == ["module bisect"]


def test_too_little_documentation_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    library = small_library(tmp_path / "library", {"json": "This is all."})
    with pytest.raises(CorpusError, match=r"too little for a corpus: the valid split would be empty.*another corpus"):
        build(tmp_path, library)
    assert not list(tmp_path.glob("*.txt"))


def test_a_python_without_sources_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"topics\.py is missing"):
        build(tmp_path, tmp_path / "nowhere")
