"""Many trainings at once: each a process and a run folder of its own, as many at a time as the machine holds.

    jobs = [Job(config=replace(recipe(name), seed=seed), run_dir=Path("runs", f"{name}-seed-{seed}")) ...]
    outcomes = launch(jobs, budget_seconds=540)

| module | what |
|---|---|
| `job` | what is to be trained and where, and the command line that does it |
| `checks` | everything that can be refused before the first process starts |
| `share` | how many at once, and threads for each |
| `child` | one training process: started, asked to stop, told apart by how it ended |
| `lifeline` | how a process ends when its launcher has died |
| `fleet` | the jobs that wait, run and are over |
| `launcher` | the loop around them |
| `standing` `display` | where runs stand, from their journals; shown live or as lines |
| `seeds` | `0-4` and `0,2,5` |

A launcher knows nothing that the run folders do not hold. Killed in any way and started again with the same jobs, it
goes on with what is unfinished and leaves alone what is done. What a process prints goes to `.logs/RUN.log` beside the
run folders. Imports no torch.
"""

from tiedlm.launching.job import Job, Outcome, State
from tiedlm.launching.launcher import launch
from tiedlm.launching.seeds import parse_seeds

__all__ = ["Job", "Outcome", "State", "launch", "parse_seeds"]
