"""What `bodies` writes down and prints about the parts that were timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from body_models import LOOP, PICKED, PLAIN
from body_parts import COMPARED, RECIPES, Part
from command_line import Row
from step_windows import STEPS, STREAMS

Seconds = dict[str, list[float]]
"""Name of a part → its seconds in each round."""
FOUND = (*Part._fields, "median_seconds", "fastest_seconds", "words_per_second", "ratio_to_plain", "ratio_to_loop")
FOUND += ("floor_seconds", "peak_memory_mib", "part_memory_mib")
"""The columns that `row` gives."""


def row(part: Part, seconds: Seconds, floor: float | None, used: Mapping[str, float] | None) -> Row:
    """Return what was found about one part."""
    times = seconds[part.name]
    speed = f"{STREAMS * STEPS / median(times):.0f}" if part.part == "step" else ""
    return {
        **part._asdict(),
        "median_seconds": f"{median(times):.5f}",
        "fastest_seconds": f"{min(times):.5f}",
        "words_per_second": speed,
        "ratio_to_plain": ratio(part, PLAIN, seconds),
        "ratio_to_loop": ratio(part, LOOP, seconds),
        "floor_seconds": "" if floor is None else f"{floor:.5f}",
        "peak_memory_mib": "" if used is None else f"{used['peak_mib']:.0f}",
        "part_memory_mib": "" if used is None else f"{used['peak_mib'] - used['before_mib']:.0f}",
    }


def ratio(part: Part, form: str, seconds: Seconds) -> str:
    """Return the median over rounds of a part's time as a multiple of that in another form in the same round."""
    if part not in COMPARED:
        return ""
    base = seconds[part._replace(form=form).name]
    return f"{median(a / b for a, b in zip(seconds[part.name], base, strict=True)):.3f}"


def line(row: Row) -> str:
    """Return a row of the CSV in short."""
    told = {"words_per_second": "{} words/s", "ratio_to_plain": "x {} of plain", "ratio_to_loop": "x {} of the loop"}
    told |= {"floor_seconds": "floor {} s", "peak_memory_mib": "peak {} MiB", "part_memory_mib": "of it its own {}"}
    name = "/".join(str(row[column]) for column in ("size", "part", "form", "loss") if row[column])
    facts_of = "  ".join(text.format(row[column]) for column, text in told.items() if row[column])
    return f"{name:<28}{row['median_seconds']} s  {facts_of}"


def profile(rows: Sequence[Row]) -> list[str]:
    """Return where a step's time goes, in lines: each piece's share of the step, and its time beside its floor."""
    found = {(row["part"], row["form"], row["loss"]): row for row in rows}
    return [text for loss in RECIPES for text in _profile_of(loss, found)]


def _profile_of(loss: str, found: Mapping[tuple[object, ...], Row]) -> list[str]:
    step = found[("step", PICKED, loss)]
    pieces = [("loss", "", loss), ("forward", PICKED, ""), ("backward", PICKED, ""), ("update", "", "")]
    told = [step, *(found[piece] for piece in [*pieces, ("rest", PICKED, loss)])]
    return [f"where a step of {step['size']} with {loss} goes:", *(_share(row, step) for row in told)]


def _share(row: Row, step: Row) -> str:
    seconds, whole = float(str(row["median_seconds"])), float(str(step["median_seconds"]))
    floor = f"{seconds / float(str(row['floor_seconds'])):6.2f} x its floor" if row["floor_seconds"] else ""
    return f"  {row['part']:<10}{1000 * seconds:8.1f} ms  {seconds / whole:7.1%}  {floor}".rstrip()
