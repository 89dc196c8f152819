"""From finished runs to the paper's tables and figures.

| module | what |
|---|---|
| `published` | the paper's figures as data, under the names of their recipes |
| `results` | a published result, `results/<recipe>/seed-<k>/`: its schema, its one hash, and all results as rows |
| `publish` | a finished run becomes a published result |
| `statistics` | means, spreads, tests and intervals |
| `plan` | what is reproduced, which trainings are missing, and what they would cost |
| `tables` | every table: rows of cells, to read and to compute with |
| `render` | all tables, figures and the pages that hold them, equal to the byte |
| `figure1`, `theory` | Figure 1: its grid and records, and the trainings behind it |

Only `theory` imports torch, and `publish` where it measures weights; all else needs no corpus, weights or accelerator.
"""
