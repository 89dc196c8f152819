"""Matplotlib (the extra `figures`) set so that a picture drawn again is equal to the byte.

The same versions of Matplotlib and Pillow are needed for that; `constraints.txt` has them. Nothing of the user's own
settings counts, no display is asked for, and neither dates nor versions are written into the files.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tiedlm.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODELS = {"vd": ("#555555", "VD"), "al": ("#E69F00", "+AL"), "re": ("#0072B2", "+RE"), "real": ("#009E73", "+REAL")}
"""Model → colour (of Okabe and Ito's palette, which the colour-blind tell apart) and label."""

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "tiedlm",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.dpi": 150,
}
METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
FORMATS = tuple(METADATA)

Draw = Callable[["Figure"], None]
"""Draws into an empty figure."""


def pictures(draw: Draw, *, width: float, height: float) -> dict[str, bytes]:
    """Return a picture as `png` and as `svg`.

    Args:
        draw: is given an empty figure, once for each format.
        width, height: in inches.

    Raises:
        ConfigError: Matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "Figures are drawn by Matplotlib, which is not installed: pip install 'tiedlm[figures]'."
        ) from error
    found = {}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        for name in FORMATS:
            figure = Figure(figsize=(width, height), layout="constrained")
            draw(figure)
            buffer = io.BytesIO()
            figure.savefig(buffer, format=name, metadata=METADATA[name])
            found[name] = buffer.getvalue()
    return found


def titled(axes: Axes, text: str) -> None:
    """Write a panel's title above its left edge."""
    axes.set_title(text, loc="left", fontsize=9)
