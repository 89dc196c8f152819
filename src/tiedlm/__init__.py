"""Word-level language models with tied embeddings and the augmented loss, after Inan, Khosravi & Socher (2017).

The names in `__all__` are the public ones. Each is imported at first use, so that `import tiedlm` and the command
line's help load neither torch nor numpy.

Letters for axes:

| letter | axis |
|---|---|
| N | predictions (target positions) in a batch, N = T x B where both are flattened |
| T | steps of a window |
| B | streams: sequences that are trained side by side |
| V | words of the vocabulary |
| D | width of the features, of the word vectors and of the classifier's rows |
| H | units of a recurrent layer |
| U | distinct target words among the N targets |
| K | layers |
| C | rows of a chunk |

A shape in a docstring is written `[T, B, D]`. Paper symbols: `h` features [N, D]; `W` classifier [V, D]; `L` word
vectors, here always stored by rows as [V, D] (the paper writes its transpose); `z = W h` logits [N, V].
"""

from __future__ import annotations

TYPE_CHECKING = False  # so that the command line's process, which starts with this file, imports nothing before signals
if TYPE_CHECKING:
    from tiedlm.data.corpus import prepare
    from tiedlm.data.sources import CorpusConfig
    from tiedlm.data.text import Vocabulary
    from tiedlm.evaluation.perplexity import perplexity
    from tiedlm.losses.augmented import AugmentedLoss, augmented_cross_entropy, linear_augmented_cross_entropy
    from tiedlm.losses.vocabulary_parallel import shard_of, vocabulary_parallel_augmented_cross_entropy
    from tiedlm.nn.config import GRUConfig, LSTMConfig, RHNConfig
    from tiedlm.nn.model import LanguageModel
    from tiedlm.nn.tables import TiedTable, UntiedTables
    from tiedlm.runs.config import LossConfig, RunConfig, TrainingConfig
    from tiedlm.runs.load import load_run
    from tiedlm.training.loop import train

    __version__: str

__all__ = [
    "AugmentedLoss",
    "CorpusConfig",
    "GRUConfig",
    "LSTMConfig",
    "LanguageModel",
    "LossConfig",
    "RHNConfig",
    "RunConfig",
    "TiedTable",
    "TrainingConfig",
    "UntiedTables",
    "Vocabulary",
    "__version__",
    "augmented_cross_entropy",
    "linear_augmented_cross_entropy",
    "load_run",
    "perplexity",
    "prepare",
    "shard_of",
    "train",
    "vocabulary_parallel_augmented_cross_entropy",
]

_NAMES = {
    "data.corpus": ["prepare"],
    "data.sources": ["CorpusConfig"],
    "data.text": ["Vocabulary"],
    "evaluation.perplexity": ["perplexity"],
    "losses.augmented": ["AugmentedLoss", "augmented_cross_entropy", "linear_augmented_cross_entropy"],
    "losses.vocabulary_parallel": ["shard_of", "vocabulary_parallel_augmented_cross_entropy"],
    "nn.config": ["GRUConfig", "LSTMConfig", "RHNConfig"],
    "nn.model": ["LanguageModel"],
    "nn.tables": ["TiedTable", "UntiedTables"],
    "runs.config": ["LossConfig", "RunConfig", "TrainingConfig"],
    "runs.load": ["load_run"],
    "training.loop": ["train"],
}
_MODULE_OF = {name: f"tiedlm.{module}" for module, names in _NAMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker that saw this function would let every misspelled name pass

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name == "__version__":
            from importlib.metadata import version

            value = version("tiedlm")
        elif name in _MODULE_OF:
            value = getattr(import_module(_MODULE_OF[name]), name)
        else:
            from tiedlm.errors import suggestion

            hint = f"{suggestion(name, __all__)} Public names: {', '.join(__all__)}."
            raise AttributeError(f"module 'tiedlm' has no attribute {name!r}.{hint}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
