"""Word-level language models with tied embeddings and the augmented loss, after Inan, Khosravi & Socher (2017).

The names in `__all__` are the public ones. Each is imported from its room at first use, so that `import tiedlm` and the
command line's help load neither torch nor numpy.
"""

from __future__ import annotations

TYPE_CHECKING = False  # so that the command line's process, which starts with this file, imports nothing before signals
if TYPE_CHECKING:
    from tiedlm.checkpoint.load import load_run
    from tiedlm.data.corpus import prepare
    from tiedlm.data.sources import CorpusConfig
    from tiedlm.data.text import Vocabulary
    from tiedlm.evaluation.perplexity import perplexity
    from tiedlm.losses.functional import augmented_cross_entropy
    from tiedlm.losses.linear import linear_augmented_cross_entropy
    from tiedlm.losses.module import AugmentedLoss
    from tiedlm.models.config import GRUConfig, LSTMConfig, RHNConfig
    from tiedlm.models.gru import GRULanguageModel
    from tiedlm.models.lstm import LSTMLanguageModel
    from tiedlm.models.rhn import RHNLanguageModel
    from tiedlm.runs.config import LossConfig, RunConfig, TrainingConfig
    from tiedlm.training.loop import train
    from tiedlm.tying import TiedTable, UntiedTables

    __version__: str

__all__ = [
    "AugmentedLoss",
    "CorpusConfig",
    "GRUConfig",
    "GRULanguageModel",
    "LSTMConfig",
    "LSTMLanguageModel",
    "LossConfig",
    "RHNConfig",
    "RHNLanguageModel",
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
    "train",
]

_HOMES = {
    "AugmentedLoss": "tiedlm.losses.module",
    "CorpusConfig": "tiedlm.data.sources",
    "GRUConfig": "tiedlm.models.config",
    "GRULanguageModel": "tiedlm.models.gru",
    "LSTMConfig": "tiedlm.models.config",
    "LSTMLanguageModel": "tiedlm.models.lstm",
    "LossConfig": "tiedlm.runs.config",
    "RHNConfig": "tiedlm.models.config",
    "RHNLanguageModel": "tiedlm.models.rhn",
    "RunConfig": "tiedlm.runs.config",
    "TiedTable": "tiedlm.tying",
    "TrainingConfig": "tiedlm.runs.config",
    "UntiedTables": "tiedlm.tying",
    "Vocabulary": "tiedlm.data.text",
    "augmented_cross_entropy": "tiedlm.losses.functional",
    "linear_augmented_cross_entropy": "tiedlm.losses.linear",
    "load_run": "tiedlm.checkpoint.load",
    "perplexity": "tiedlm.evaluation.perplexity",
    "prepare": "tiedlm.data.corpus",
    "train": "tiedlm.training.loop",
}


if not TYPE_CHECKING:  # a type checker that saw this function would let every misspelled name pass

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name == "__version__":
            value = _installed_version()
        elif name in _HOMES:
            value = getattr(import_module(_HOMES[name]), name)
        else:
            raise AttributeError(_unknown(name))
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _installed_version() -> str:
    from importlib.metadata import version

    return version("tiedlm")


def _unknown(name: str) -> str:
    from tiedlm.errors import suggestion

    return f"module 'tiedlm' has no attribute {name!r}.{suggestion(name, __all__)} Public names: {', '.join(__all__)}."
