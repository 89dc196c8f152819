"""Where a model puts its probability, over a whole text: the claims of the paper's Table 4 as measured quantities.

The paper looks at four contexts and says that under REAL the words `<unk>`, "a", "an" and "the" receive less
probability, and the neighbours of the target more. Here each is a mean over all words of a text:

    frequent words    p(w | context), over the words of the text that are not w themselves; and over every word
    neighbours        the sum of p over the k words whose vectors are nearest to the target's
    target            p of the word that came
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError
from tiedlm.evaluation.blocks import BLOCKS, BlockMeans, BlockSums, Estimate
from tiedlm.evaluation.measures import FREQUENT_WORDS, TARGET, everywhere
from tiedlm.evaluation.predictions import Predictions


@final
class WordMass:
    """Takes the predictions of a text, window by window, and tells where their probability went.

    Args:
        vocabulary: the model's; those of `FREQUENT_WORDS` that it lacks are left out.
        text_words: words of the whole text.
        neighbours: name of the measure → ids of the nearest words of each word [V, k].
        blocks: blocks of the text, for standard errors.
    """

    def __init__(
        self, vocabulary: Vocabulary, text_words: int, neighbours: Mapping[str, Tensor], blocks: int = BLOCKS
    ) -> None:
        present = [word for word in FREQUENT_WORDS if word in vocabulary.id_of]
        self._ids = torch.tensor(vocabulary.ids(present))
        self._neighbours = list(neighbours.values())
        self.names = (*present, *map(everywhere, present), *neighbours, TARGET)
        """What is measured, in order."""
        self._means = BlockMeans(len(self.names), text_words, blocks)

    @torch.inference_mode()
    def add(self, window: Predictions) -> None:
        """Take the next window of the text."""
        probabilities, targets = window.logits.softmax(-1), window.targets
        ids = self._ids.to(targets.device)
        near = [
            probabilities.gather(1, each.to(targets.device)[targets]).sum(1, keepdim=True) for each in self._neighbours
        ]
        of_words = probabilities[:, ids]
        values = torch.cat([of_words, of_words, *near, probabilities.gather(1, targets[:, None])], dim=1)
        counted = torch.ones_like(values, dtype=torch.bool)
        counted[:, : len(ids)] = targets[:, None] != ids
        self._means.add(values, counted)

    def estimates(self) -> dict[str, Estimate | None]:
        """Return the mean of each measure, by name; None where no word of the text counts for it."""
        return dict(zip(self.names, self._means.estimates(), strict=True))

    def by_block(self) -> dict[str, BlockSums]:
        """Return the sums that the means are made of, block by block, by the measure's name."""
        return dict(zip(self.names, self._means.by_block(), strict=True))

    def differences(self, other: WordMass) -> dict[str, Estimate | None]:
        """Return the mean of each measure less that of another model on the same text, by name.

        Raises:
            ArgumentError: the two measured other things, or over other words.
        """
        if self.names != other.names:
            raise ArgumentError(f"The measures {list(self.names)} and {list(other.names)} do not compare.")
        return dict(zip(self.names, self._means.differences(other._means), strict=True))
