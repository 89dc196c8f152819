"""The recurrent highway networks of the paper's Table 3 on Penn Treebank, and the one it does not have: +REAL.

Network and schedule are the authors' own for Penn Treebank, `ptb_sota` of rhn_train.py in
github.com/julian121266/RecurrentHighwayNetworks (commit 9ab03a3): depth 10, 830 units, weights from U(-0.04, 0.04),
transform gates' biases at -2, dropped shares 0.25 (words), 0.75 (input), 0.25 (state), 0.75 (output); 20 streams,
windows of 35, learning rate 0.2 for the loss summed over a window, divided by 1.02 after every epoch from the 20th on,
clipping norm 10, weight decay 1e-7. It is one network for all three, so that they differ in tying and loss alone.

| | the authors' | here |
|---|---|---|
| the row VD-RHN, 71.2 / 68.5 | in their README the figures of depth 8, 890 units; depth 10 has 71.3 / 68.3 | depth 10 |
| the row VD-RHN+RE, 68.1 / 66.0 | in their README those of depth 9, 860 units; depth 10 has 68.3 / 66.0 | depth 10 |
| output bias of the tied model | kept | none, as in the paper's section 4 |
| epochs | at most 500 (300 in their Theano code), best on validation | 300: the rate has then fallen to 1/256 |
| gamma of +REAL | | that of the Penn Treebank LSTMs |
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tiedlm.corpora.config import CorpusConfig
from tiedlm.models.config import RHNConfig
from tiedlm.recipes.ptb import GAMMA
from tiedlm.recipes.variants import loss_of, model_of
from tiedlm.runs.config import RunConfig, TrainingConfig

NETWORK = RHNConfig(
    units=830,
    depth=10,
    layers=1,
    keep_words=0.75,
    keep_input=0.25,
    keep_state=0.75,
    keep_output=0.25,
    init_range=0.04,
    transform_bias=-2.0,
)
SCHEDULE = TrainingConfig(
    epochs=300,
    learning_rate=0.2,
    decay=1 / 1.02,
    constant_epochs=20,
    clip_norm=10.0,
    streams=20,
    steps=35,
    weight_decay=1e-7,
)


def rhn(name: str, variant: str) -> RunConfig:
    """Return the config of one row."""
    return RunConfig(
        recipe=name,
        corpus=CorpusConfig(name="ptb"),
        model=model_of(variant, NETWORK),
        loss=loss_of(variant, GAMMA),
        training=SCHEDULE,
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    (name := f"ptb-rhn-{variant}"): partial(rhn, name, variant) for variant in ("vd", "re", "real")
}
