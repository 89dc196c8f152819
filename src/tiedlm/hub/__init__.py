"""Other people's tools; each needs the extra `hub`."""

from tiedlm.hub.causal_lm import use_augmented_loss

__all__ = ["use_augmented_loss"]
