"""Peak memory and words a second of training on a short and on a long text of the same language.

    python benchmarks/scale.py --words 1000000 50000000 --windows 300

The texts are written by a fixed seed: words as uneven as a language's, lines of 20. Every text is encoded in a process
of its own and trained in another one, which trains some windows, saves, scores, and then reads its whole text window by
window as an epoch does; both tell the most memory that they had. Words a second are measured in one more process, in
which the texts take turns, a window each, in a new order every round, one half at the start and one half at the end of
the texts. Rows are appended to `benchmarks/results/scale.csv`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

import step_windows
from command_line import Row, parser_of, positive, printed_by, write_down
from machine import FACTS, begin_csv, facts, peak_memory_mib
from tiedlm.checkpoint import RunFolder
from tiedlm.corpora.config import CorpusConfig
from tiedlm.corpora.prepare import prepare
from tiedlm.evaluation.perplexity import perplexity
from tiedlm.evaluation.predictions import WINDOW_STEPS
from tiedlm.recipes.catalogue import recipe
from tiedlm.runs.config import RunConfig
from tiedlm.training.display import SilentDisplay
from tiedlm.training.loop import Training
from tiedlm.training.start import continued, started

RECIPE = "ptb-small-real"
LINE_WORDS, BLOCK_LINES = 20, 10_000
SCORED_WINDOWS = 50
WARM_UP = 3
"""Rounds that are not counted."""
RESULTS = Path(__file__).parent / "results" / "scale.csv"
COLUMNS = (*FACTS, "words", "vocabulary", "windows", "words_per_second", "speed_to_first", "peak_memory_mib")
COLUMNS += ("peak_to_first", "anonymous_mib", "anonymous_to_first", "encoding_peak_mib", "encoding_words_per_second")


def write_text(path: Path, words: int, seed: int) -> None:
    """Write a text of that many words, `<eos>` counted, a block of lines at a time; it begins with every word once."""
    lines, spelled = words // (LINE_WORDS + 1), [f"w{number}" for number in range(step_windows.WORDS)]
    with path.open("w") as file:
        for start in range(0, lines, BLOCK_LINES):
            count = min(BLOCK_LINES, lines - start)
            ids = step_windows.zipf_ids(count * LINE_WORDS, seed + start)
            if start == 0:
                ids[: step_windows.WORDS] = np.arange(step_windows.WORDS)[: len(ids)]
            rows = ids.reshape(count, LINE_WORDS).tolist()
            file.writelines(" ".join([spelled[word] for word in row]) + "\n" for row in rows)


def text_config(folder: Path, words: int) -> RunConfig:
    """Return the recipe on a text of that many words, which is written where it is missing."""
    paths = {"train": folder / f"{words}.txt", "valid": folder / "valid.txt", "test": folder / "valid.txt"}
    for name, count in (("train", words), ("valid", 50 * LINE_WORDS)):
        if not paths[name].exists():
            write_text(paths[name], count, seed=count)
    files = {name: str(path) for name, path in paths.items()}
    return replace(recipe(RECIPE), corpus=CorpusConfig(**files, vocabulary_size=step_windows.WORDS))


class Watch(threading.Thread):
    """Looks again and again how much memory is this process's own, which no file backs (anonymous, in Linux' words)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most_mib = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.01):
            self.look()

    def look(self) -> None:
        status = Path("/proc/self/status").read_text().splitlines()
        now = sum(int(line.split()[1]) for line in status if line.startswith(("RssAnon:", "VmSwap:"))) / 1024
        self.most_mib = max(self.most_mib, now)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        self.look()


def training(config: RunConfig, folder: Path) -> Training:
    """Return a training before its first window; its run folder is made where it is missing."""
    run, cache = folder / f"run-{_stem(config)}", _cache(config, folder)
    if not run.exists():
        started(config, run, None, None, cache)
    run_folder = RunFolder.open(run)
    config, corpus, state = continued(run_folder, None, cache)
    return Training(config, corpus, run_folder, state, SilentDisplay())


def _stem(config: RunConfig) -> str:
    return Path(config.corpus.train or "").stem


def _cache(config: RunConfig, folder: Path) -> Path:
    return folder / f"cache-{_stem(config)}"


def encoded(config: RunConfig, folder: Path) -> None:
    """Count and encode the text, though it be encoded already."""
    cache = _cache(config, folder)
    shutil.rmtree(cache, ignore_errors=True)
    prepare(config.corpus, cache_dir=cache)


def trained(config: RunConfig, folder: Path, windows: int) -> None:
    """Do with memory what a whole training does: windows, saving, scoring, and the whole text read through."""
    ours = training(config, folder)
    for _, window in zip(range(windows), ours.streams.windows(config.training.steps), strict=False):
        ours.train_one_window(*window)
    ours.record.save(ours.state, {"weights": ours.state.weights()})
    vocabulary, ids = ours.corpus.vocabulary, ours.corpus.splits["train"].ids
    perplexity(ours.state.model, ids[-SCORED_WINDOWS * WINDOW_STEPS :], end_id=vocabulary.end_id, unknown_id=0)
    for _ in ours.streams.windows(config.training.steps):
        pass


def memory(work: str, words: int, options: argparse.Namespace) -> dict[str, float]:
    """Do some work and return the most memory that this process had, of any kind and of its own kind, and seconds."""
    config, began = text_config(options.folder, words), time.monotonic()
    with Watch() as watch:
        if work == "encode":
            encoded(config, options.folder)
        else:
            trained(config, options.folder, options.windows)
    seconds = time.monotonic() - began
    return {"peak": peak_memory_mib(), "anonymous": watch.most_mib, "seconds": seconds}


def in_a_process(work: str, words: int, options: argparse.Namespace) -> dict[str, float]:
    """Return `memory` of a process that does nothing else."""
    arguments = ["--only", work, "--words", str(words), "--folder", str(options.folder)]
    arguments += ["--windows", str(options.windows), "--threads", str(torch.get_num_threads())]
    return printed_by(__file__, arguments)


def rounds_of_half(windows: int) -> int:
    """Return the rounds at the start of the texts, or at their end, when so many windows are trained of each."""
    return WARM_UP + -(-windows // 2)


def least_words(windows: int) -> int:
    """Return the words that a text must have for so many windows, though its last line be cut off."""
    config = recipe(RECIPE).training
    return rounds_of_half(windows) * config.streams * config.steps + LINE_WORDS


def speeds(options: argparse.Namespace) -> dict[int, list[float]]:
    """Return for every text the seconds of each window; the texts take turns."""
    seconds: dict[int, list[float]] = {words: [] for words in options.words}
    configs = {words: text_config(options.folder, words) for words in seconds}
    trainings = {words: training(config, options.folder) for words, config in configs.items()}
    half, order = rounds_of_half(options.windows), random.Random(0)
    for at_end in (False, True):
        running = {
            words: ours.streams.windows(ours.config.training.steps, max(0, ours.windows - half - 1) * at_end)
            for words, ours in trainings.items()
        }
        for number in range(half):
            for words in order.sample(list(seconds), len(seconds)):
                began = time.perf_counter()
                trainings[words].train_one_window(*next(running[words]))
                if number >= WARM_UP:
                    seconds[words].append(time.perf_counter() - began)
    return seconds


def rows(options: argparse.Namespace) -> list[Row]:
    """Measure all texts and return a row of the CSV for each."""
    encoding, memories = (
        {words: in_a_process(work, words, options) for words in options.words} for work in ("encode", "train")
    )
    seconds = speeds(options)
    shortest, window = options.words[0], recipe(RECIPE).training
    return [
        {
            **facts(),
            "words": words,
            "vocabulary": step_windows.WORDS,
            "windows": len(seconds[words]),
            "words_per_second": f"{window.streams * window.steps / median(seconds[words]):.0f}",
            "speed_to_first": f"{median(a / b for a, b in zip(seconds[shortest], seconds[words], strict=True)):.4f}",
            "peak_memory_mib": f"{memories[words]['peak']:.1f}",
            "peak_to_first": f"{memories[words]['peak'] / memories[shortest]['peak']:.4f}",
            "anonymous_mib": f"{memories[words]['anonymous']:.1f}",
            "anonymous_to_first": f"{memories[words]['anonymous'] / memories[shortest]['anonymous']:.4f}",
            "encoding_peak_mib": f"{encoding[words]['peak']:.1f}",
            "encoding_words_per_second": f"{words / encoding[words]['seconds']:.0f}",
        }
        for words in options.words
    ]


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument("--words", type=positive, nargs="+", default=[1_000_000, 50_000_000], help="words of each text")
    parser.add_argument("--windows", type=positive, default=300, help="windows that are trained of each (default: 300)")
    parser.add_argument("--folder", type=Path, help="where texts, cache and runs go (default: a temporary folder)")
    parser.add_argument("--only", choices=["encode", "train"], help="do this alone and print the memory as JSON")
    options = parser.parse_args(arguments)
    if min(options.words) < (least := least_words(options.windows)):
        parser.error(
            f"--words {min(options.words)} is too short a text for --windows {options.windows}: {least} words or more "
            "are due. Ask for a longer text or for fewer windows."
        )
    return options


def main(arguments: list[str] | None = None) -> None:
    """Measure, append, print."""
    options = parsed(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.only:
        print(json.dumps(memory(options.only, options.words[0], options)))
        return
    begin_csv(options.output, COLUMNS)
    with tempfile.TemporaryDirectory() as temporary:
        options.folder = options.folder or Path(temporary)
        options.folder.mkdir(parents=True, exist_ok=True)
        for words in options.words:
            text_config(options.folder, words)
        write_down(options.output, rows(options), line)


def line(row: Row) -> str:
    """Return a row of the CSV in short."""
    return (
        f"{row['words']:>12,} words  {row['words_per_second']} words/s (x {row['speed_to_first']})  "
        f"peak {row['peak_memory_mib']} MiB (x {row['peak_to_first']})  "
        f"of its own {row['anonymous_mib']} MiB (x {row['anonymous_to_first']})  "
        f"encoding: {row['encoding_words_per_second']} words/s, peak {row['encoding_peak_mib']} MiB"
    )


if __name__ == "__main__":
    main()
