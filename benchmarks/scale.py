"""Peak memory and words per second of training on a short and on a long text of the same language.

    python benchmarks/scale.py --words 1000000 50000000 --windows 300 --threads 2

The texts are drawn from a fixed seed, with Zipf's word frequencies and lines of 20 words. Each is encoded in a process
of its own and used in another one, which trains some windows, scores, and then reads the whole text window by window as
an epoch does. Words per second are measured in one more process, in which the texts take turns, half of the windows at
the start of the texts and half at their end. Rows are appended to `results/scale.csv`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch

import harness
from harness import FACTS, STEPS, STREAMS, VOCAB_SIZE, WARM_UP, Row
from tiedlm import CorpusConfig, perplexity, prepare
from tiedlm.data.corpus import Corpus
from tiedlm.data.streams import Streams
from tiedlm.nn.model import LanguageModel
from tiedlm.recipes import recipe

RECIPE, LINE_WORDS, BLOCK_LINES, SCORED_WORDS = "ptb-small-real", 20, 10_000, 12_800
COLUMNS = (*FACTS, "words", "vocabulary", "windows", "words_per_second", "speed_to_first", "peak_memory_mib")
COLUMNS += ("peak_to_first", "encoding_peak_mib", "encoding_words_per_second")


def write_text(path: Path, words: int) -> None:
    """Write a text of that many words, `<eos>` included; it begins with every word of the vocabulary once."""
    lines, names = words // (LINE_WORDS + 1), [f"w{number}" for number in range(VOCAB_SIZE)]
    with path.open("w") as file:
        for start in range(0, lines, BLOCK_LINES):
            count = min(BLOCK_LINES, lines - start)
            ids = harness.zipf_ids(count * LINE_WORDS, seed=words + start)
            if start == 0:
                ids[:VOCAB_SIZE] = np.arange(VOCAB_SIZE)[: len(ids)]
            block = ids.reshape(count, LINE_WORDS).tolist()
            file.writelines(" ".join([names[word] for word in row]) + "\n" for row in block)


def corpus_of(folder: Path, words: int) -> Corpus:
    """Return the encoded text of that many words; text and cache are made where they are missing."""
    paths = {"train": folder / f"{words}.txt", "valid": folder / "valid.txt", "test": folder / "valid.txt"}
    for split, count in (("train", words), ("valid", 50 * (LINE_WORDS + 1))):
        if not paths[split].exists():
            write_text(paths[split], count)
    files = {split: str(path) for split, path in paths.items()}
    return prepare(CorpusConfig(**files, vocabulary_size=VOCAB_SIZE), cache_dir=folder / f"cache-{words}")


def memory_of(work: str, words: int, folder: Path, windows: int) -> dict[str, float]:
    """Encode a text, or train on it, and return this process's peak memory and seconds."""
    start = time.monotonic()
    if work == "encode":
        shutil.rmtree(folder / f"cache-{words}", ignore_errors=True)
    corpus, config = corpus_of(folder, words), recipe(RECIPE)
    if work == "train":
        ids, end_id = corpus.splits["train"].ids, corpus.vocabulary.end_id
        model, streams = LanguageModel(config.model, VOCAB_SIZE), Streams(ids, STREAMS, end_id=end_id)
        step = harness.training_step(config, model)
        for _, window in zip(range(windows), streams.windows(STEPS), strict=False):
            step(*window)
        perplexity(model, ids[-SCORED_WORDS:], end_id=end_id, unknown_id=0)
        for _ in streams.windows(STEPS):
            pass
    return {"peak": harness.peak_memory_mib(), "seconds": time.monotonic() - start}


def step_seconds(all_words: list[int], folder: Path, windows: int) -> dict[int, list[float]]:
    """Return the seconds of each training window of every text; the texts take turns, first at their start."""
    config, seconds = recipe(RECIPE), {words: [] for words in all_words}
    steps, streams = {}, {}
    for words in all_words:
        corpus = corpus_of(folder, words)
        steps[words] = harness.training_step(config)
        streams[words] = Streams(corpus.splits["train"].ids, STREAMS, end_id=corpus.vocabulary.end_id)
    half = -(-windows // 2)
    for at_end in (False, True):
        timed = {}
        for words, own in streams.items():
            first = max(0, own.window_count(STEPS) - half - WARM_UP - 1) if at_end else 0
            iterator = own.windows(STEPS, first)
            timed[words] = lambda _, step=steps[words], iterator=iterator: step(*next(iterator))
        for words, times in harness.time_in_turns(timed, half).items():
            seconds[words] += times
    return seconds


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Measure all texts and yield a row of each."""

    def in_process(work: str, words: int) -> dict[str, float]:
        arguments = ["--work", work, "--words", words, "--folder", options.folder, "--windows", options.windows]
        return harness.json_of_process(__file__, arguments)

    for words in options.words:
        corpus_of(options.folder, words)
    encoding, training = ({words: in_process(work, words) for words in options.words} for work in ("encode", "train"))
    seconds, first = step_seconds(options.words, options.folder, options.windows), options.words[0]
    for words in options.words:
        own, base, encode = training[words], training[first], encoding[words]
        speed, relative = STREAMS * STEPS / median(seconds[words]), harness.ratio(seconds[first], seconds[words])
        values = (words, VOCAB_SIZE, len(seconds[words]), f"{speed:.0f}", relative)
        values += (f"{own['peak']:.1f}", own["peak"] / base["peak"], f"{encode['peak']:.1f}")
        yield harness.row(COLUMNS, *values, f"{words / encode['seconds']:.0f}")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    words = [1_000_000, 50_000_000]
    parser.add_argument("--words", type=harness.positive, nargs="+", default=words, help="words of each text")
    parser.add_argument("--windows", type=harness.positive, default=300, help="windows trained of each (default: 300)")
    parser.add_argument("--threads", type=harness.positive, help="PyTorch threads (default: PyTorch's choice)")
    parser.add_argument("--folder", type=Path, help="folder for texts and cache (default: a temporary one)")
    parser.add_argument("--output", type=Path, default=harness.RESULTS / "scale.csv", help="CSV to append to")
    parser.add_argument("--work", choices=["encode", "train"], help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    needed = (WARM_UP + -(-options.windows // 2)) * STREAMS * STEPS + LINE_WORDS
    if min(options.words) < needed:
        parser.error(f"--windows {options.windows} needs a text of at least {needed} words, got {min(options.words)}.")
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.work:
        print(json.dumps(memory_of(options.work, options.words[0], options.folder, options.windows)))
        return
    harness.open_csv(options.output, COLUMNS)
    with tempfile.TemporaryDirectory() as temporary:
        options.folder = options.folder or Path(temporary)
        options.folder.mkdir(parents=True, exist_ok=True)
        harness.write_rows(options.output, rows(options))


if __name__ == "__main__":
    main()
