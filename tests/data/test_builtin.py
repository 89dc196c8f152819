"""The corpus of Python's documentation: its rules against golden sentences, and what it is on this Python."""

import ast
import hashlib
import json
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiedlm.data.builtin import build, docstrings, plain_words, read_units, sentences
from tiedlm.data.sources import SPLITS
from tiedlm.errors import CorpusError

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "builtin"


class Built(NamedTuple):
    folder: Path
    provenance: dict[str, Any]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("builtin")
    return Built(folder, build(folder))


def test_another_process_makes_the_same_bytes(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    for name in ("argparse.py", "asyncio", "bisect.py", "collections", "email", "json", "logging", "pydoc_data"):
        (library / name).symlink_to(Path(os.__file__).with_name(name))
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    program = "import sys, json, pathlib; from tiedlm.data.builtin import build; "
    program += "print(json.dumps(build(*map(pathlib.Path, sys.argv[1:])))); assert 'torch' not in sys.modules"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    run = [sys.executable, "-c", program, str(there), str(library)]
    done = subprocess.run(run, env=environment, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == build(here, library)
    for split in SPLITS:
        assert (there / f"{split}.txt").read_bytes() == (here / f"{split}.txt").read_bytes() != b""


def test_every_module_and_sentence_is_in_one_split_of_the_size_that_is_told(built: Built) -> None:
    lines = [line for split in SPLITS for line in (built.folder / f"{split}.txt").read_text().splitlines()]
    assert len(set(lines)) == len(lines) > 10_000
    assert built.provenance["python"] == platform.python_version()
    for split, entry in built.provenance["splits"].items():
        content = (built.folder / f"{split}.txt").read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert (entry["words"], entry["lines"]) == (len(content.split()), content.count(b"\n"))
    words = {split: entry["words"] for split, entry in built.provenance["splits"].items()}
    assert 150_000 < sum(words.values()) < 600_000
    assert all(0.05 < words[split] / sum(words.values()) < 0.15 for split in ("valid", "test"))
    modules = [unit for split in SPLITS for unit in built.provenance["splits"][split]["modules"]]
    assert len(set(modules)) == len(modules)
    assert {"module asyncio", "module argparse", "topic class"} < set(modules)
    assert not any("." in unit or "/" in unit for unit in modules)  # packages whole
    assert not any("test" in unit.split("_") for unit in modules)


def test_a_small_library_to_the_byte(tmp_path: Path) -> None:
    modules = {
        "json": "This is last. This is first.",
        "bisect": "This is next. This is first.",
        "argparse": "Parse what is there.",
    }
    library = tmp_path / "library"
    (library / "pydoc_data").mkdir(parents=True)
    (library / "pydoc_data" / "topics.py").write_text("topics = {}\n")
    for name, docstring in (modules | {"mine": "This is not of the library."}).items():
        (library / f"{name}.py").write_text(f'"""{docstring}"""\n')
    provenance = build(tmp_path, library)
    # in the order of names, bisect is before json and keeps the sentence of both
    assert (tmp_path / "train.txt").read_text() == "this is last .\n"
    assert (tmp_path / "test.txt").read_text() == "parse what is there .\n"
    assert (tmp_path / "valid.txt").read_text() == "this is next .\nthis is first .\n"
    assert provenance["splits"]["valid"]["modules"] == ["module bisect"]


def test_the_sentences_of_a_documentation_text() -> None:
    """The golden text has each rule of layout, sentences, markup and words, and much that is no sentence."""
    text = (GOLDEN / "documentation.txt").read_text()
    assert list(sentences(text)) == (GOLDEN / "sentences.txt").read_text().splitlines()


@settings(max_examples=40)
@given(st.text(alphabet="Aa1.-'`\"*()[]<> n't\n"))
def test_words_have_no_blank_no_capital_letter_and_no_leading_digit(sentence: str) -> None:
    words = plain_words(sentence)
    for word in words:
        assert all(part in ("N", part.lower()) for part in word.split("-"))
        assert not word[0].isdigit()
    assert " ".join(words).split() == words


TOPICS = 'topics = {"with": "On with.", "assert": "On " "assert."}\n'


@pytest.fixture
def library(tmp_path: Path) -> Path:
    contents = {
        "pydoc_data/topics.py": '"""Of the topics\' file."""\n' + TOPICS,
        "turtledemo.py": '"""Wraps \\d."""\nraise SystemExit("was imported")\n',  # an escape that Python warns of
        "json/__init__.py": '"""Of the package."""\n',
        "json/decoder.py": '"""Of its part."""\n',
        "json/tests/test_it.py": '"""Of its tests."""\n',
        "test/support.py": '"""Of the tests."""\n',
        "site-packages/json.py": '"""Of others."""\n',
        "mine.py": '"""Of no part of the library."""\n',
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_topics_then_modules_each_in_order_without_tests_and_others(library: Path) -> None:
    units = read_units(library)
    assert list(units.items()) == [
        ("topic assert", ["On assert."]),
        ("topic with", ["On with."]),
        ("module json", ["Of the package.", "Of its part."]),
        ("module turtledemo", ["Wraps \\d."]),
    ]


def test_docstrings_of_all_levels_in_the_order_of_the_source() -> None:
    source = '''
        """1"""
        def f():
            """2"""
            async def inner():
                """3

                    deeper
                back
                """
        class A:
            """4"""
            x = 1
            """no docstring"""
        if f:
            def g(): "5"
        else:
            def h(): "6"
        try:
            def i(): "7"
        except Exception:
            def j(): "8"
        finally:
            def k(): "9"
        match f:
            case 1:
                def m(): "10"
        with f:
            def without(): pass
    '''
    texts = list(docstrings(ast.parse(textwrap.dedent(source))))
    assert texts == ["1", "2", "3\n\n    deeper\nback", *map(str, range(4, 11))]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pydoc_data/topics.py", None),
        ("pydoc_data/topics.py", b"topics = []"),
        ("pydoc_data/topics.py", b"topics = {1: print()}"),
        ("turtledemo.py", b"def :"),
        ("turtledemo.py", b"x\0"),
    ],
)
def test_a_library_with_a_missing_or_damaged_file(library: Path, name: str, content: bytes | None) -> None:
    (library / name).unlink()
    if content is not None:
        (library / name).write_bytes(content)
    with pytest.raises(CorpusError, match=rf"own library, but {library / name} is missing or damaged \(.*`synthetic`"):
        build(library, library)


def test_too_little_documentation_is_an_error_and_writes_nothing(library: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"too little for a corpus: the valid split would be empty.*another corpus"):
        build(tmp_path, library)
    assert not list(tmp_path.glob("*.txt"))
