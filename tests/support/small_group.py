"""Four models of one size, in the paper's order after the last training and in another one after the first."""

from __future__ import annotations

SMALL = {
    "vd": [(88.0,), (88.2,), (88.4,)],
    "al": [(90.0, 83.0), (90.0, 83.1), (90.0, 83.5)],
    "re": [(84.0, 85.0), (84.0, 85.4), (84.0, 85.3)],
    "real": [(90.0, 82.0), (90.0, 82.6)],
}
"""Model → for each seed from 0 on, its test perplexities, as `add_group` writes them."""
