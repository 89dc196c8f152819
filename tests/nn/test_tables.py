"""Word tables: one parameter that embeds and classifies, and its untied twin; the gradient that both uses share."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from support.compare import Recorder, assert_close
from tiedlm.losses.augmented import linear_augmented_cross_entropy
from tiedlm.nn.tables import TiedTable, UntiedTables

TOKENS = torch.tensor([[3, 0], [6, 3], [1, 1]])
both_kinds = pytest.mark.parametrize("kind", [lambda: TiedTable(50, 4), lambda: UntiedTables(50, 4, 4)])


def drawn(tables: TiedTable | UntiedTables) -> TiedTable | UntiedTables:
    """The same tables in float64, with seeded entries everywhere, the bias too."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in tables.double().parameters():
            parameter.uniform_(-1, 1, generator=generator)
    return tables


@both_kinds
def test_the_fused_gradient_needs_no_second_array(kind: Callable[[], TiedTable | UntiedTables]) -> None:
    tables = kind()
    with tables.fused_embedding_grad():
        features, table = tables.embed(TOKENS), tables.loss_table
        loss = linear_augmented_cross_entropy(
            features, tables.classifier, TOKENS, table=table, bias=tables.bias, implementation="chunked"
        )
    with Recorder() as recorder:
        loss.backward()
    for parameter in tables.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0
    assert recorder.largest < 50 * 4


def test_the_fused_gradient_ends_with_its_block() -> None:
    tied, untied = TiedTable(7, 4), UntiedTables(7, 4, 4)
    for tables, weight, read in (
        (tied, tied.weight, lambda: tied.classifier),
        (untied, untied.embedding, lambda: untied.loss_table),
    ):
        with tables.fused_embedding_grad():
            tables.embed(TOKENS)
            assert read() is not weight
        assert read() is weight
        with pytest.raises(KeyError), tables.fused_embedding_grad():
            raise KeyError
        assert tables.embed(TOKENS).grad_fn.name().startswith("Embedding")  # pyright: ignore[reportOptionalMemberAccess]


READ = torch.randn(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def _table(tables: TiedTable | UntiedTables) -> torch.Tensor:
    """The table that the loss reads."""
    return tables.classifier if tables.loss_table is None else tables.loss_table


@both_kinds
@pytest.mark.parametrize("used", ["words", "table", "both", "words without a gradient first"])
def test_the_fused_gradient_is_that_of_two_uses(kind: Callable[[], TiedTable | UntiedTables], used: str) -> None:
    tables = drawn(kind())
    weight = tables.vectors

    def value(vectors: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        of_words, of_table = (vectors * READ).sum(), table.square().sum()
        return {"words": of_words, "table": of_table}.get(used, of_words + of_table)

    (truth,) = torch.autograd.grad(value(F.embedding(TOKENS, weight), weight), weight)
    with tables.fused_embedding_grad():
        if used == "words without a gradient first":
            with torch.no_grad():
                assert torch.equal(tables.embed(TOKENS), weight[TOKENS])
            assert _table(tables) is weight
        vectors, table = tables.embed(TOKENS), _table(tables)
        assert torch.equal(vectors, weight[TOKENS])
        assert torch.equal(table, weight)
        assert table is not weight
        (grad,) = torch.autograd.grad(value(vectors, table), weight)
    assert_close(grad.to_dense(), truth, 1e-14)


@both_kinds
def test_words_that_were_only_embedded_have_a_sparse_gradient(kind: Callable[[], TiedTable | UntiedTables]) -> None:
    tables = drawn(kind())
    with tables.fused_embedding_grad(), Recorder() as recorder:
        tables.embed(TOKENS).backward(READ)
    assert recorder.largest < 50 * 4
    grad = tables.vectors.grad
    assert grad is not None
    assert grad.is_sparse
    assert grad.is_coalesced()
    assert grad.indices().tolist() == [[0, 1, 3, 6]]
