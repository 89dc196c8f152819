"""From finished runs to the paper's tables and figures.

| module | what |
|---|---|
| `published` | the paper's figures as data, under the names of their recipes |
| `results` | a published result, `results/<recipe>/seed-<k>/`: its schema, its one hash, and all results as rows |
| `publish` | a finished run becomes a published result |
| `statistics` | means, spreads, tests and intervals |
| `plan` | what is reproduced, which trainings are missing, and what they would cost |
| `tables`, `comparisons`, `figures` | every table and figure: typed rows, and how they are written and drawn |
| `render` | all of them and the pages that hold them, equal to the byte |
| `figure1`, `theory` | Figure 1: its grid and records, and the trainings behind it |

Only `theory` imports torch, and `publish` where it measures weights; all else needs no corpus, weights or accelerator.
"""
