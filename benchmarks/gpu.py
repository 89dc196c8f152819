"""All that is to be known of a machine with one GPU, in one call of less than ten minutes.

    python benchmarks/gpu.py

Whether the masks on cuDNN's kernel and on ours are the layer that the loop defines, in float64 and float32;
microseconds of one layer on either; seconds of an epoch of the Penn Treebank and peak memory for the small, medium and
large network, with the passes launched kernel by kernel and replayed from a CUDA graph, as `tiedlm train` does, or why
they are not. Each part has a process of its own, so that one that fails costs the others nothing. Everything is printed
and written to `benchmarks/results/gpu.json`. The status is 1
where the masks do not hold.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from command_line import positive
from gpu_layers import layer_times
from gpu_masks import checked
from gpu_steps import WARM_UP, config_of, launched, replayed
from machine import facts
from step_windows import windows
from tiedlm.files import write_json
from tiedlm.recipes.ptb import SIZES

RESULTS = Path(__file__).parent / "results" / "gpu.json"
WHOLE_SECONDS = 570
"""Time for everything: a part that has not begun by then is left out."""
PART_SECONDS = 150
"""Time for one part."""
STEPS = {"launched": launched, "replayed": replayed}
Asked = tuple[str, ...]
Found = dict[str, Any]


def parts(sizes: Sequence[str]) -> list[Asked]:
    """Return what is done, each in a process of its own: masks first, then layers, then replays."""
    kinds = ("replayed", "launched")
    steps = ((kind, size, each) for kind in kinds for each in ("bfloat16", "float32") for size in sizes)
    return [("masks",), ("layers",), *steps]


def done(part: Asked, options: argparse.Namespace, device: str = "cuda") -> Found:
    """Do one part in this process and return what it found."""
    if part[0] == "masks":
        return {"checks": checked(device)}
    if part[0] == "layers":
        return {"layers": layer_times(device)}
    _, some = windows(WARM_UP + options.steps, options.data_dir)
    some = [(inputs.to(device), targets.to(device)) for inputs, targets in some]
    kind, size, precision = part
    measure = STEPS[kind]
    return {loss: measure(config_of(size, loss, precision), some, device) for loss in ("al", "ce")}  # pyright: ignore[reportArgumentType]


def in_a_process(part: Asked, options: argparse.Namespace, seconds: float) -> Found:
    """Return what a part finds in a process of its own, or the reason why it finds nothing."""
    arguments = ["--only", *part, "--steps", str(options.steps)]
    arguments += ["--data-dir", str(options.data_dir)] if options.data_dir else []
    try:
        ended = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"failed": f"it took more than {seconds:.0f} seconds"}
    if ended.returncode == 0:
        return json.loads(ended.stdout.splitlines()[-1])
    said = [line for line in ended.stderr.splitlines() if line.strip()]
    return {"failed": _reason(said) if said else f"it ended with status {ended.returncode}"}


def _reason(said: Sequence[str]) -> str:
    """Return the line of a traceback that names the error: the last one at the margin with `Error` before a colon."""
    named = [line for line in said if not line.startswith(" ") and "Error" in line.partition(":")[0]]
    return (named or said)[-1]


def everything(options: argparse.Namespace) -> list[Found]:
    """Do all parts within the time, and print each as it ends."""
    began, found = time.monotonic(), []
    for part in parts(options.sizes):
        left = WHOLE_SECONDS - (time.monotonic() - began)
        enough = left > 10
        result = in_a_process(part, options, min(left, PART_SECONDS)) if enough else {"failed": "no time was left"}
        found.append({"part": " ".join(part), **result})
        print("\n".join(lines(found[-1])), flush=True)
    return found


def lines(found: Found) -> list[str]:
    """Return what a part found in short."""
    name = found["part"]
    if "failed" in found:
        return [f"{name}: nothing found, since {found['failed']}"]
    if "checks" in found:
        return [f"{name}: {_check_line(check)}" for check in found["checks"]]
    if "layers" in found:
        return [f"{name}: {_layer_line(window, times)}" for window, times in found["layers"].items()]
    return [
        f"{name}, {loss}: {told['step_ms']:.2f} ms a step, {told['epoch_seconds']:.1f} s an epoch, "
        f"peak {told['peak_memory_mib']:.0f} MiB"
        for loss, told in found.items()
        if loss != "part"
    ]


def _check_line(check: Found) -> str:
    verdict = "holds" if check["holds"] else "DOES NOT HOLD"
    said = f"; said: {' / '.join(check['warnings'])}" if check["warnings"] else ""
    where = f"{check['form']} {check['type']} {check['units']} units, keep {check['keep']}"
    return f"{where}: {verdict}, off by {check['error']:.1e} at most, in {check['worst']}{said}"


def _layer_line(window: str, times: dict[str, float]) -> str:
    return f"{window}: " + ", ".join(f"{form} {time:.0f} us" for form, time in times.items())


def masks_hold(found: Sequence[Found]) -> bool:
    """Return whether the masks were checked, and every check holds."""
    checks = [check for part in found for check in part.get("checks", [])]
    return bool(checks) and all(check["holds"] for check in checks)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES), help="default: all three")
    parser.add_argument("--steps", type=positive, default=100, help="steps that are counted (default: 100)")
    parser.add_argument("--data-dir", type=Path, help="folder with the Penn Treebank (else made-up words)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file to write")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="do one part alone and print what it finds, as JSON")
    options = parser.parse_args(arguments)
    known = sorted({part for size in SIZES for part in parts([size])})
    if options.only and tuple(options.only) not in known:
        told = ", ".join(f"'{' '.join(part)}'" for part in known)
        parser.error(f"--only {' '.join(options.only)}: it must be one of {told}.")
    if not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here, and all of this is about one. For a CPU, run benchmarks/bodies.py.")
    return options


def main() -> None:
    """Do all parts, write down and print what they find."""
    options = parsed()
    if options.only:
        print(json.dumps(done(tuple(options.only), options)))
        return
    found = everything(options)
    versions = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    write_json(options.output, {**facts("cuda"), **versions, "steps": options.steps, "parts": found})
    if not masks_hold(found):
        sys.exit("The masks on cuDNN's kernel were not found to hold: see above.")


if __name__ == "__main__":
    main()
