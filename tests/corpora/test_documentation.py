from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path

import pytest

from tiedlm.corpora.documentation import docstrings, read_units
from tiedlm.errors import CorpusError

TOPICS = 'topics = {"with": "On with.", "assert": "On " "assert."}\n'


@pytest.fixture
def library(tmp_path: Path) -> Path:
    contents = {
        "pydoc_data/topics.py": '"""Of the topics\' file."""\n' + TOPICS,
        "turtledemo.py": '"""Wraps."""\nraise SystemExit("was imported")\n',
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
    assert units == {
        "topic assert": ["On assert."],
        "topic with": ["On with."],
        "module json": ["Of the package.", "Of its part."],
        "module turtledemo": ["Wraps."],
    }
    assert list(units) == ["topic assert", "topic with", "module json", "module turtledemo"]


def test_nothing_is_imported(library: Path) -> None:
    read_units(library)  # the small module would end the program, and the real one is imported by nobody
    assert "turtledemo" not in sys.modules


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
        if f:
            class A:
                """4"""
                x = 1
                """no docstring"""
                def g(self): "5"
        elif A:
            def h(): "6"
        try:
            def i(): "7"
        except Exception:
            def j(): "8"
        else:
            def k(): "9"
        finally:
            def l(): "10"
        match f:
            case 1:
                def m(): "11"
        with f, A:
            for n in f:
                def o(): "12"
        def without(): pass
    '''
    found = list(docstrings(ast.parse(textwrap.dedent(source))))
    assert found == ["1", "2", "3\n\n    deeper\nback", *map(str, range(4, 13))]


def test_a_library_without_topics_names_the_missing_file(library: Path) -> None:
    (library / "pydoc_data" / "topics.py").unlink()
    with pytest.raises(CorpusError, match=r"pydoc_data.topics\.py is missing.*`synthetic`"):
        read_units(library)


@pytest.mark.parametrize("damaged", ["", "topics = []", "topics = {1: print()}"])
def test_topics_that_are_no_texts_are_damage(library: Path, damaged: str) -> None:
    (library / "pydoc_data" / "topics.py").write_text(damaged)
    with pytest.raises(CorpusError, match=r"topics\.py does not hold a dictionary of texts"):
        read_units(library)


@pytest.mark.parametrize("damaged", [b"def :", b"\xff\xfe", b"x\0"])
def test_a_damaged_file_is_named(library: Path, damaged: bytes) -> None:
    (library / "turtledemo.py").write_bytes(damaged)
    with pytest.raises(CorpusError, match=r"turtledemo\.py, a file of Python's own library, cannot be read"):
        read_units(library)


def test_the_librarys_own_doubtful_escapes_warn_nobody(library: Path) -> None:
    (library / "turtledemo.py").write_text('"""Wraps \\d."""\n')
    assert read_units(library)["module turtledemo"] == ["Wraps \\d."]
