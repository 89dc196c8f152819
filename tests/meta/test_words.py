"""The project speaks of itself alone, and uses nothing that could run what it reads.

The words to look for are put together here from parts, so that this file does not hold them.
"""

from __future__ import annotations

import ast
import re

import pytest

from meta.sources import files, imports

PYTHON = ("src/**/*.py", "tests/**/*.py", "benchmarks/**/*.py")
TEXT = (
    *("*.md", "*.toml", "*.txt", "Makefile", ".ci/*", ".gitignore"),
    *("docs/**/*.md", "docs/**/*.csv", "docs/**/*.svg"),
    *("results/**/*.json", "results/**/*.jsonl", "results/**/*.md", "results/**/*.csv"),
    *("benchmarks/**/*.md", "benchmarks/**/*.csv", "benchmarks/**/*.json", "benchmarks/**/*.sh"),
)

MACHINE = [f"(?<![\\w.~}}])/{folder}/" for folder in ("work", "root", "home")]
REGISTRIES = [
    re.escape(".".join(parts))
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("download", "pytorch"),
        ("anaconda", "org"),
    )
]
OTHERS = [r"\bissue" + r" #?\d", r"--(extra-)?index" + "-url", r"(?<!\w)\." + "library/"]

MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
BARE_CALLS = {"eval", "exec", "compile"}
METHODS = {"extractall", "torch.load", "torch.save", "pickle.loads"}
OPTIONS = {"allow_pickle": True, "shell": True}


def foreign_words(text: str) -> list[str]:
    """What the text says of a machine, a registry or the making of the project."""
    return [match.group() for pattern in (*MACHINE, *REGISTRIES, *OTHERS) for match in re.finditer(pattern, text)]


def dangerous(source: str) -> list[str]:
    """Imports and calls that could run what they read, or write outside the folder they were given."""
    modules = [one.module for one in imports(source) if one.module.split(".")[0] in MODULES]
    calls = [name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) for name in _dangers(node)]
    return modules + calls


def _dangers(call: ast.Call) -> list[str]:
    name = ast.unparse(call.func)
    options = {key.arg: key.value.value for key in call.keywords if isinstance(key.value, ast.Constant)}
    found = [option for option, value in OPTIONS.items() if options.get(option) == value]
    if name in BARE_CALLS or name in METHODS or name.split(".")[-1] in METHODS:
        found.append(name)
    return found


@pytest.mark.parametrize("name", files(*PYTHON, *TEXT))
def test_the_project_speaks_of_itself_alone(name: str) -> None:
    assert foreign_words(files(name)[name].read_text()) == []


@pytest.mark.parametrize("name", files(*PYTHON))
def test_nothing_runs_what_it_reads(name: str) -> None:
    assert dangerous(files(name)[name].read_text()) == []


def examples(text: str) -> list[str]:
    """The Python examples of a Markdown text that are whole enough to be read as Python."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if ">>>" not in block]


@pytest.mark.parametrize("name", files("*.md", "docs/**/*.md"))
def test_examples_do_not_either(name: str) -> None:
    assert [danger for block in examples(files(name)[name].read_text()) for danger in dangerous(block)] == []


@pytest.mark.parametrize(
    "text",
    [
        "data in /{}/shared".format("work"),
        'Path("/{}/runs")'.format("root"),
        "file:///{}/someone/x".format("home"),
        "from https://{}.org/simple".format("pypi"),
        "see {} 12".format("issue"),
        "pip install --index{} x".format("-url"),
    ],
)
def test_foreign_words_are_found(text: str) -> None:
    assert len(foreign_words(text)) == 1


@pytest.mark.parametrize("text", ["a/work/b", "https://tiedlm.example/home", "~/work/", "an issue of 12 words"])
def test_other_words_pass(text: str) -> None:
    assert foreign_words(text) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from pickle import loads",
        "eval('1')",
        "exec(text)",
        "archive.extractall(folder)",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_dangers_are_found(source: str) -> None:
    assert len(dangerous(source)) == 1
    assert (
        len([danger for block in examples(f"Text.\n\n```python\n{source}\n```\n") for danger in dangerous(block)]) == 1
    )


@pytest.mark.parametrize("source", ["model.eval()", "np.load(path, allow_pickle=False)", "torch.load_file(p)"])
def test_harmless_calls_pass(source: str) -> None:
    assert dangerous(source) == []
