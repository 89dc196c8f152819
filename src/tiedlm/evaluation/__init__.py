"""Perplexity and scoring, next words, generation, analysis of trained models, n-gram baselines.

The names of what `analysis` measures stand here, since tables of published results are made of them without torch.
"""

FREQUENT_WORDS = ("<unk>", "a", "an", "the")
"""Words of which the paper's Table 4 says that they receive less probability under the augmented loss."""
EVERYWHERE = tuple(f"{word}, everywhere" for word in FREQUENT_WORDS)  # no word has a blank in it
"""Their measures over every word of the text; those of the plain names leave out where the word itself comes."""
TARGET = "target"
"""Measure: probability of the word that came."""
