"""From finished runs to the paper's tables: published figures, published results, and what compares them.

| module | what |
|---|---|
| `published` | the paper's perplexities as data, under the names of their recipes |
| `published_citations`, `published_predictions`, `published_points` | others' figures, next words, Figure 1 |
| `layout` | what a published result, `results/<recipe>/seed-<k>/`, holds |
| `result`, `consistency` | reading one: whole, unedited, and in agreement with itself |
| `publish`, `replacing`, `place` | a finished run becomes a published result, in the place of an older one |
| `measurement`, `measured` | what is measured of its weights then; reading that, held against itself |
| `provenance` | where it comes from, and the commands that repeat it |
| `differences` | where a config is not that of its recipe |
| `collect` | all results become the paper's rows, or an error says which one cannot |
| `samples`, `paired`, `ordering`, `standing` | means and spreads, the order of the models and its test, what stands |
| `costs`, `plan` | which trainings are missing, what each would cost, and in which order |
| `tables`, `ordering_tables`, `grid` | tables as Markdown, LaTeX and CSV |
| `table4`, `table4_tables`, `table4_words`, `block_bootstrap` | Table 4: REAL beside VD-LSTM, and next words |
| `figure1`, `figure1_points`, `figure2`, `drawing` | figures as PNG and SVG |
| `render`, `page_parts`, `pages` | all of it, equal to the byte, and the pages that hold it |
| `figure1_runs`, `figure1_watch`, `figure1_records`, `figure1_folder` | the runs behind Figure 1, and their folder |
| `theory_run`, `theory_state`, `theory_setting` | one of these runs: a small training, and what the paper leaves open |

Only `measurement`, `theory_run`, `theory_state`, `figure1_runs` and `figure1_watch` import torch; all else needs no
corpus, weights or accelerator.
"""
