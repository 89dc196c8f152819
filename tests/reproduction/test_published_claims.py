from __future__ import annotations

from tiedlm.reproduction.published import PUBLISHED
from tiedlm.reproduction.published_claims import CLAIMS, FIGURE_1, FIGURE_1_POINTS, FIGURE_2_SIZES


def test_the_points_of_figure_1_lie_in_its_panels() -> None:
    for point in FIGURE_1_POINTS:
        fixed = point.tau == FIGURE_1.tau_of_beta_panel if point.panel == "beta" else point.beta == 1.0
        assert fixed
        assert point.distance is None or 0 <= point.distance <= 1
    known = {(point.panel, point.tau, point.beta): point.distance for point in FIGURE_1_POINTS}
    assert known == {("beta", 10.0, 0.0): None, ("beta", 10.0, 1.0): 0.06, ("tau", 2.0, 1.0): None}


def test_the_setting_of_figure_1() -> None:
    assert (FIGURE_1.training_words, FIGURE_1.units, FIGURE_1.layers, FIGURE_1.runs) == (20_000, 300, 2, 10)
    assert (FIGURE_1.tau_of_beta_panel, FIGURE_1.beta_of_tau_panel) == (10.0, 1.0)


def test_figure_2_is_of_two_sizes_that_have_rows() -> None:
    assert FIGURE_2_SIZES == ("small", "large")
    assert all(f"ptb-{size}-real" in PUBLISHED for size in FIGURE_2_SIZES)


def test_every_claim_names_the_table_or_figure_that_it_is_of() -> None:
    places = {claim.where for claim in CLAIMS.values()}
    assert places == {"Table 1", "Table 2", "Tables 1 and 2", "Figure 1 (a)", "Figure 1 (b)", "Table 4"}
    assert len({claim.told for claim in CLAIMS.values()}) == len(CLAIMS) == 11


def test_the_claims_on_perplexities_are_those_of_the_published_rows() -> None:
    """Read from the tables themselves: a claim that they contradict was written down wrongly."""
    test = {name: row.test for name, row in PUBLISHED.items() if row.test}
    assert test["ptb-small-al"] < test["ptb-small-re"]
    assert all(test[f"ptb-{size}-re"] < test[f"ptb-{size}-al"] for size in ("medium", "large"))
    groups = {name.rsplit("-", 1)[0] for name in test if "rhn" not in name}
    assert len(groups) == 7
    assert all(
        test[f"{group}-real"] < min(test[f"{group}-{other}"] for other in ("vd", "al", "re")) for group in groups
    )
    gain = {group: 1 - test[f"{group}-al"] / test[f"{group}-vd"] for group in groups}
    assert min(gain["wikitext2-half1-small"], gain["wikitext2-half2-small"]) > gain["wikitext2-small"]
