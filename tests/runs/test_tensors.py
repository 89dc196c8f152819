import math

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.runs.load import bytes_to_tensors, tensors_to_bytes

DTYPES = [
    torch.float64,
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
]


def assert_same(actual, truth):
    assert list(actual) == list(truth) or set(actual) == set(truth)
    for name, tensor in truth.items():
        assert actual[name].dtype == tensor.dtype
        assert actual[name].shape == tensor.shape
        assert (
            actual[name].contiguous().view(-1).view(torch.uint8).equal(tensor.contiguous().view(-1).view(torch.uint8))
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back_to_the_bit(dtype):
    tensors = {"matrix": torch.randint(0, 2, (3, 5)).to(dtype), "vector": torch.arange(7).to(dtype)}
    assert_same(bytes_to_tensors(tensors_to_bytes(tensors)), tensors)


def test_special_values_and_shapes_come_back_to_the_bit():
    tensors = {
        "special": torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-45]),
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 4),
        "empty too": torch.empty(0, 4),
        "": torch.ones(1),
        "Wörter.weight": torch.ones(2),
        "random": torch.Generator().manual_seed(5).get_state(),
    }
    assert_same(bytes_to_tensors(tensors_to_bytes(tensors)), tensors)


def test_no_tensors_are_a_file_too():
    assert bytes_to_tensors(tensors_to_bytes({})) == {}


def test_views_are_stored_by_value():
    base = torch.arange(24.0).view(4, 6)
    tensors = {
        "base": base,
        "turned": base.T,
        "row": base[1],
        "head": base[:2],
        "part": base[1:, ::2],
        "flat": base.view(-1),
    }
    square = torch.arange(9, dtype=torch.int32).view(3, 3)
    tensors |= {"square": square, "turned square": square.T, "as floats": square.view(torch.float32)}
    tensors["spread"] = torch.ones(1, 1).expand(3, 3)
    again = bytes_to_tensors(tensors_to_bytes(tensors))
    assert_same(again, tensors)
    again["base"].zero_()
    assert again["flat"].equal(base.view(-1))


def test_a_tied_tensor_is_stored_once_and_is_one_object_again():
    table = torch.nn.Parameter(torch.randn(100, 10))
    content = tensors_to_bytes({"embed": table, "classify": table.detach(), "third": table.data})
    assert len(content) < 100 * 10 * 4 + 300
    again = bytes_to_tensors(content)
    assert again["embed"] is again["classify"] is again["third"]
    assert again["embed"].equal(table)
    assert not again["embed"].requires_grad


def test_equal_tensors_that_are_not_tied_stay_apart():
    again = bytes_to_tensors(tensors_to_bytes({"one": torch.ones(3), "two": torch.ones(3)}))
    again["one"].zero_()
    assert again["two"].equal(torch.ones(3))


def test_the_tensors_that_were_given_are_not_touched_or_shared():
    tensor = torch.arange(6.0).view(2, 3).T
    content = tensors_to_bytes({"tensor": tensor})
    assert not tensor.is_contiguous()
    again = bytes_to_tensors(content)
    again["tensor"].zero_()
    assert tensor.equal(torch.arange(6.0).view(2, 3).T)


def test_the_same_tensors_give_the_same_bytes():
    def make():
        table = torch.arange(6.0)
        return {"b": table, "a": table, "d": torch.ones(2), "c": torch.zeros(1), "e": table}

    assert len({tensors_to_bytes(make()) for _ in range(20)}) == 1


@pytest.mark.parametrize("value", [None, 3.0, [1.0], torch.empty(2, device="meta"), torch.eye(2).to_sparse()])
def test_what_is_not_a_dense_tensor_is_refused_by_name(value):
    with pytest.raises(ArgumentError, match="'weight' must be a dense tensor with data, but is"):
        tensors_to_bytes({"weight": value})


def test_a_cut_file_is_refused():
    content = tensors_to_bytes({"one": torch.ones(3), "two": torch.zeros(2)})
    for end in range(len(content)):
        with pytest.raises(ArgumentError, match="not a whole safetensors file"):
            bytes_to_tensors(content[:end])


@pytest.mark.parametrize("aliases", ['{"a": "absent"}', "[]", "7", "{", '{"a": ["one"]}'])
def test_aliases_that_lead_nowhere_are_refused(aliases):
    import safetensors.torch

    content = safetensors.torch.save({"one": torch.ones(1)}, {"aliases": aliases})
    with pytest.raises(ArgumentError, match="not a whole safetensors file"):
        bytes_to_tensors(content)
