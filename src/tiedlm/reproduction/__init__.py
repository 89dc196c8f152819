"""From finished runs to the paper's tables: published figures, published results, and what compares them.

| module | what |
|---|---|
| `published` | the paper's perplexities as data, under the names of their recipes |
| `published_citations`, `published_predictions`, `published_claims` | others' figures, next words, claims |
| `layout` | what a published result, `results/<recipe>/seed-<k>/`, holds |
| `result`, `consistency` | reading one: whole, unedited, and in agreement with itself |
| `publish`, `place` | a finished run becomes a published result |
| `provenance` | where it comes from, and the commands that repeat it |
| `differences` | where a config is not that of its recipe |
| `collect` | all results become the paper's rows, or an error says which one cannot |
| `samples`, `paired`, `ordering`, `standing` | means and spreads, the order of the models and its test, what stands |
| `costs`, `plan` | which trainings are missing, what each would cost, and in which order |
| `tables`, `ordering_tables`, `grid` | tables as Markdown, LaTeX and CSV |
| `figure1`, `figure1_points`, `figure2`, `drawing` | figures as PNG and SVG |
| `render`, `page_parts`, `pages` | all of it, equal to the byte, and the pages that hold it |
| `figure1_runs`, `figure1_records` | the runs behind Figure 1, each kept, and `points.json` made of them |
| `theory_run`, `theory_setting` | one of these runs: a small training, and what it leaves open |

Only `theory_run` and `figure1_runs` train and import torch; all else needs no corpus,
weights or accelerator.
"""
