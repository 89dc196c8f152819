"""The run folder: everything a training leaves on the disk, and the only thing that scoring needs.

    runs/ptb-small-real-seed-0/
    ├── manifest.json               which file plays which role, its bytes and sha256; how much of the journal counts
    ├── config.json                 the whole config             ┐
    ├── vocabulary.json             the words, in order of id    ├ written once, when the folder is made
    ├── environment.json            versions, machine, threads   ┘
    ├── weights-000012.safetensors  the model, best on the validation text ┐
    ├── state-000013.safetensors    tensors to resume from                 ├ each save writes under a new number
    ├── progress-000013.json        numbers to resume from                 ┘ (`scores-….json` likewise)
    ├── journal.jsonl               one line an event, only ever appended to
    └── .lock                       held by the process that writes, whose number and host are in it

A save (`RunFolder.commit`) is one step. New contents go to files that nobody refers to yet; then the manifest is
replaced by a rename, and that is the instant of the save; then files without a role are deleted. A process that is
killed anywhere in between leaves the state before or after, never a mixture, and the next save sweeps up what it left.

Nothing is read from a run folder without its length and sha256 being compared with the manifest, which carries a
checksum of its own. JSON and safetensors only: to open a stranger's folder runs none of their code.
"""

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.checkpoint.journal import Journal

__all__ = ["Journal", "RunFolder"]
