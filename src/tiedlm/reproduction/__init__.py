"""From finished runs to the paper's tables: published figures, published results, and what compares them.

| module | what |
|---|---|
| `published` | the paper's figures as data, under the names of their recipes |
| `layout` | what a published result, `results/<recipe>/seed-<k>/`, holds |
| `result`, `consistency` | reading one: whole, unedited, and in agreement with itself |
| `publish`, `place` | a finished run becomes a published result |
| `provenance` | where it comes from, and the commands that repeat it |
| `differences` | where a config is not that of its recipe |
| `figure1_runs`, `figure1_records` | the runs behind Figure 1, each kept, and `points.json` made of them |
| `theory_run`, `theory_setting` | one of these runs: a small training, and what it leaves open |

Only `theory_run` and `figure1_runs` train and import torch; all else needs no corpus,
weights or accelerator.
"""
