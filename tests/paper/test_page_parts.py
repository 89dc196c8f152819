from __future__ import annotations

from pathlib import Path

from support.published_results import add_group, add_points, add_result
from tiedlm.paper.collect import collect
from tiedlm.paper.figure1 import beside_the_paper
from tiedlm.paper.figure1_points import read_points
from tiedlm.paper.ordering import orderings
from tiedlm.paper.page_parts import readme_part, reproduction_part, verdict


def test_the_verdict_counts_rows_and_hours(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-vd", 0, 87.0, seconds=90.0)
    add_result(tmp_path, "ptb-small-re", 0, 87.0, seconds=90.0, processor="another")
    assert verdict(collect(tmp_path)) == (
        "1 of the paper's 30 rows stand; 1 have been run, trained as often as in the paper, 29 have not.\n"
        "A row stands where our mean test perplexity is at most the paper's plus 0.5.\n"
        "Training behind the rows, in hours of one process: 1.0 on a processor, 1.0 on another.\n"
    )


def test_without_results_nothing_is_claimed(tmp_path: Path) -> None:
    rows = collect(tmp_path)
    assert verdict(rows).startswith("0 of the paper's 30 rows stand; 0 have been run")
    assert "hours of one process: none." in verdict(rows)
    assert readme_part(rows, None).rstrip().endswith("none.")


def test_the_readme_has_a_line_for_every_figure_there_is(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"re": [(87.0, 85.0), (88.0,)]})
    lines = [line for line in readme_part(collect(tmp_path), None).splitlines() if line.startswith("| `")]
    folder = "`results/ptb-small-re`"
    assert lines == [
        f"| `ptb-small-re` | 1 | 92.50 ± 0.71 / 87.50 ± 0.71 | – | 89.9 / 85.1 after 2 | – | 2 | {folder} |",
        f"| `ptb-small-re` | 2 | 90.00 / 85.00 | – | 89.9 / 85.1 | yes | 1 | {folder} |",
    ]
    add_group(tmp_path, "ptb-small", {"vd": [(87.81,)]})
    assert "| `ptb-small-vd` | 1 | 92.81 / 87.81 | " in (text := readme_part(collect(tmp_path), None))
    assert "| no | 1 | `results/ptb-small-vd` |" in text


def test_the_readme_says_where_another_seed_is_expected(tmp_path: Path) -> None:
    """By hand: s = ln(88/86)/sqrt(2) = 0.016256 with one degree of freedom, t = 12.7062, so the half width of a row of
    two seeds is 0.25297 around ln sqrt(86 * 88), and that of a row of one is 0.29211 around ln 80."""
    add_group(tmp_path, "ptb-small", {"vd": [(86.0,), (88.0,)], "re": [(85.0, 80.0)]})
    text = readme_part(collect(tmp_path), None)
    told = [line.split(" | ")[3] for line in text.splitlines() if line.startswith("| `")]
    assert told == ["67.55 to 112.04", "–", "59.73 to 107.14"]
    assert "0.0163, with 1 degree of freedom" in text


def test_the_readme_tells_of_figure_1_once_it_has_runs(tmp_path: Path) -> None:
    assert "Figure 1" not in readme_part(collect(tmp_path), None)
    add_points(tmp_path)
    points = read_points(tmp_path)
    assert points is not None
    assert readme_part(collect(tmp_path), points).endswith(f"\n{beside_the_paper(points)}\n")


def test_the_page_holds_every_table_and_figure_or_says_not_run(tmp_path: Path) -> None:
    rows = collect(tmp_path)
    empty = reproduction_part(rows, orderings(rows), None)
    assert empty.count("Not run.") == 2
    assert "figures/" not in empty
    assert "long enough" not in empty
    add_result(tmp_path, "ptb-small-vd", 0, 87.0)
    add_points(tmp_path)
    rows = collect(tmp_path)
    full = reproduction_part(rows, orderings(rows), read_points(tmp_path))
    headings = [line for line in full.splitlines() if line.startswith("### ")]
    assert [heading.split(":")[0] for heading in headings] == [
        *(
            "### Table 1",
            "### Table 2",
            "### Table 3",
            "### Beside the paper",
            "### Table 4",
            "### Table 4",
            "### Table 4",
        ),
        "### The order of the four models by test perplexity",
        "### Each step of the paper's order, over seeds",
        *("### Figure 1", "### Figure 2"),
        "### Were the trainings long enough? Validation perplexity as the learning rate goes to 0",
    ]
    for told in (
        "(figures/figure1.png)",
        "(figures/figure2.png)",
        "sqrt(1 - d/V) = 0.985",
        "18 of 18 runs",
        "paired t-test",
    ):
        assert told in full
