"""Text becomes ids, ids become windows.

| module | what |
|---|---|
| `config` | which text to learn from |
| `sources` | the published corpora: address, checksum, licence, expected counts |
| `parts` | corpora whose training text is a half of another's |
| `download` | a published corpus becomes checked files |
| `text` | a text file, read in bounded memory |
| `vocabulary` | the words, their ids and counts |
| `encode` | texts become arrays of ids in a cache |
| `cache` | folders that can be made again, checked when opened |
| `streams` | an array of ids becomes streams and windows |
| `builtin`, `synthetic` | two corpora that need no network |
| `prepare` | a config becomes a corpus that is ready to train on |

Nothing is imported here, so that `tiedlm.corpora.config` can be had without torch and NumPy.
"""
