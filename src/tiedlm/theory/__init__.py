"""What the paper proves and measures about subspaces: their distance, and the loss of its theory experiment.

| module | what |
|---|---|
| `distance` | how far apart the column spaces of two word tables are (appendix B) |
| `objective`, `weights` | the loss of the theory experiment (equation 6.1) |
| `collapse` | how many directions a table really uses, and how far its words point the same way |
"""
