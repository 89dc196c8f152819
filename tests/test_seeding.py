"""Seeds by purpose and counter."""

import torch

from tiedlm.seeding import derive, generator


def test_derived_seeds_are_fixed_and_fit_a_signed_word() -> None:
    assert derive(0, "masks", 0) == derive(0, "masks", 0)
    assert derive(0, "masks", 0) == 7468880839327251898  # a change would change every published run
    assert all(0 <= derive(seed, "masks", 7) < 1 << 63 for seed in range(50))
    assert len({derive(0, "a", 0), derive(1, "a", 0), derive(0, "b", 0), derive(0, "a", 1), derive(0, "a/1", 0)}) == 5


def test_generators_draw_the_same_again_and_leave_the_global_one_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again = (torch.rand(4, generator=generator(5, "masks", 2)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.rand(4, generator=generator(5, "masks", 3)))
    assert torch.equal(before, torch.get_rng_state())
