"""Every form of every recurrent cell: held to the cell's definition, its loop, and the loop to the oracle."""

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import forward_ad

from support import layers as forms
from support.compare import assert_close
from support.layers import LOOPS, Case, Form, check, check_is_the_loop, make, mask_of
from support.processes import torch_threads
from tiedlm.errors import ArgumentError
from tiedlm.native.build import compiler_unavailable
from tiedlm.nn import cells

SIZES = st.integers(1, 7)
CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "steps": SIZES,
        "streams": st.integers(1, 13),
        "inputs": SIZES,
        "units": st.integers(1, 39),
        "depth": st.integers(1, 10),
        "keep": st.sampled_from([None, 0.05, 0.2, 0.35, 0.5, 0.75, 0.95, 1.0]),
        "size": st.sampled_from([1e-4, 0.1, 0.5]),
    }
)


def _tame(form: Form, drawn: dict[str, Any]) -> dict[str, Any]:
    """A deep and wide highway layer under masks of 20 is chaotic: in float32 nothing is left to compare."""
    if form.cell != "rhn":
        return drawn
    return drawn | {"keep": drawn["keep"] and max(drawn["keep"], 0.25), "units": min(drawn["units"], 19)}


both_types = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


@forms.every_form
@pytest.mark.parametrize("keep", [None, 0.05, 0.5, 1.0])
@pytest.mark.parametrize(
    ("steps", "streams", "inputs", "units", "depth"),
    [(1, 1, 1, 1, 1), (5, 3, 4, 7, 2), (3, 2, 9, 3, 5), (2, 1, 3, 3, 13)],
)
def test_agrees_with_the_oracle(
    form: Form, keep: float | None, steps: int, streams: int, inputs: int, units: int, depth: int
) -> None:
    case = make(form, 2, steps=steps, streams=streams, inputs=inputs, units=units, depth=depth, keep=keep)
    for window in range(2):  # the second from the first one's raw state, under a mask of its own
        outputs, state = case.run(form)
        truth, truth_state = forms.oracle(form, case)
        assert_close(outputs, truth, 1e-12, f"outputs of window {window}")
        for part, true_part in zip(state, truth_state, strict=True):
            assert_close(part, true_part, 1e-12, f"state after window {window}")
        mask = None if case.mask is None else mask_of(9, streams, units, keep or 1.0)
        case = case._replace(state=state, mask=mask)


@forms.every_form
@pytest.mark.parametrize("keep", [None, 0.5])
@pytest.mark.parametrize("depth", [1, 3])
def test_gradients_are_the_finite_differences(form: Form, keep: float | None, depth: int) -> None:
    case = make(form, 5, steps=3, streams=2, inputs=2, units=3, depth=depth, keep=keep)

    def function(*leaves: Tensor) -> Any:
        values = iter(leaves)
        outputs, state = case.with_leaves(lambda *_: next(values)).run(form)
        return outputs, *state

    assert torch.autograd.gradcheck(function, list(case.leaves.values()), eps=1e-6, atol=1e-8, rtol=1e-6)


@forms.fast_forms
@both_types
@given(CASES)
@settings(max_examples=80)
def test_is_the_loop(form: Form, dtype: torch.dtype, drawn: dict[str, Any]) -> None:
    check_is_the_loop(form, make(form, **_tame(form, drawn)).to(dtype))


@forms.fast_forms
def test_each_result_alone_passes_its_gradient_back(form: Form) -> None:
    case = make(form, 5)

    def gradients(layer: Form, place: int) -> dict[str, Tensor]:
        outputs, state = case.run(layer)
        total = (outputs, *state)[place].square().sum()
        grads = torch.autograd.grad(total, list(case.leaves.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(case.leaves, grads, strict=True))

    for place in range(1 + len(case.state)):
        check(gradients(form, place), gradients(LOOPS[form.cell], place), 1e-12)


@forms.fast_forms
def test_what_asks_for_no_gradient_gets_none_and_changes_no_other(form: Form) -> None:
    truth = make(form, 3).everything(LOOPS[form.cell])
    for frozen in make(form, 3).leaves:
        case = make(form, 3)
        case.leaves[frozen].requires_grad_(False)
        outputs, state = case.run(form)
        draws = torch.Generator().manual_seed(7)
        sum((result * forms.draw(draws, *result.shape)).sum() for result in (outputs, *state)).backward()  # pyright: ignore[reportAttributeAccessIssue]
        assert case.leaves[frozen].grad is None
        for name, leaf in case.leaves.items():
            if name != frozen:
                assert_close(leaf.grad, truth[f"gradient of {name}"], 1e-12, name)


@forms.own_backward_forms
def test_results_may_be_changed_in_place_before_the_backward_pass(form: Form) -> None:
    """What the backward pass needs is its own: a mask on the output, in place, does not spoil it."""

    def doubled(*arguments: Any) -> Any:
        outputs, state = form(*arguments)
        return outputs.mul_(2.0), state

    def doubled_loop(*arguments: Any) -> Any:
        outputs, state = LOOPS[form.cell](*arguments)
        return 2.0 * outputs, (2.0 * state[0],) if form.cell == "rhn" else state  # an RHN's state is its last output

    case = make(form, 5)
    check(case.everything(doubled), case.everything(doubled_loop), 1e-12)


@forms.every_form
def test_the_layout_in_memory_changes_nothing(form: Form) -> None:
    """Arguments and gradients that are not contiguous, as views of transposed or of larger arrays are."""

    def scattered(_: str, leaf: Tensor) -> Tensor:
        spread = torch.zeros(*leaf.shape, 3, dtype=leaf.dtype)[..., 1].copy_(leaf.detach())
        return spread.requires_grad_()

    def flipped(*arguments: Any) -> Any:
        outputs, state = form(*arguments)
        return outputs.transpose(0, 2).contiguous().transpose(0, 2), tuple(part.T.contiguous().T for part in state)

    case = make(form, 4)
    other = case.with_leaves(scattered)
    if case.mask is not None:
        other = other._replace(mask=case.mask.T.contiguous().T)
    assert not any(leaf.is_contiguous() for leaf in other.leaves.values())
    check(other.everything(flipped), case.everything(form), 1e-14)


@forms.every_form
def test_what_is_no_number_stays_none_in_its_stream(form: Form) -> None:
    case = make(form, 10, keep=0.5).to(torch.float32)
    case.inputs.data[1, 2, 0] = float("nan")
    outputs, (hidden, *_) = case.run(form)
    assert outputs[0].isfinite().all()
    assert hidden[2].isnan().all()
    assert hidden[:2].isfinite().all()


@forms.native_forms
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_share_the_steps_and_change_no_bit_of_them(form: Form, threads: int) -> None:
    case = make(form, 8, steps=9, streams=7, inputs=5, units=70, size=0.3)
    with torch_threads(1):
        alone = case.everything(form)
    with torch_threads(threads):
        together = case.everything(form)
    check(together, alone, 1e-13)
    of_steps = [
        name for name in alone if name == "outputs" or name.endswith("after") or name.startswith("gradient of c")
    ]
    assert all(torch.equal(together[name], alone[name]) for name in of_steps)


# ---- autocast, and memory that begins uninitialised


@forms.every_form
@pytest.mark.parametrize("keep", [None, 0.5])
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_under_autocast_it_trains_on_any_cpu_and_is_the_layer(form: Form, keep: float | None, low: torch.dtype) -> None:
    case = make(form, 1, steps=9, streams=7, inputs=40, units=33, keep=keep, size=0.2).to(torch.float32)
    truth = case.to(torch.float64).everything(LOOPS[form.cell])

    def under_autocast(*arguments: Any) -> Any:
        with torch.autocast("cpu", low):  # the forward pass alone, as in training
            return form(*arguments)

    actual = case.everything(under_autocast)
    check(actual, truth, 0.05)
    assert {value.dtype for name, value in actual.items() if name != "outputs"} == {torch.float32}
    with torch.no_grad():
        assert_close(case.run(under_autocast)[0], truth["outputs"], 0.05, "outputs without gradients")
    if form.name in ("lstm_compiled", "rhn_batched", "rhn_compiled"):  # the batched products are rounded
        assert actual["outputs"].dtype == torch.float32
        with pytest.raises(AssertionError):
            check(actual, truth, 1e-5)


@forms.every_form
@pytest.mark.parametrize("keep", [None, 0.5])
@pytest.mark.parametrize("low", [None, torch.bfloat16, torch.float16])
def test_no_number_is_read_that_was_not_written(form: Form, keep: float | None, low: torch.dtype | None) -> None:
    """Memory that begins uninitialised is filled with NaN: sizes around those of vectors, tiles and 64 bytes."""
    assert torch.utils.deterministic.fill_uninitialized_memory  # pyright: ignore[reportAttributeAccessIssue]
    sizes = [(1, 1, 1, 1), (2, 3, 5, 7), (3, 2, 15, 17), (2, 9, 33, 31), (4, 4, 64, 65)]
    cases = [
        make(form, seed, steps=steps, streams=streams, inputs=inputs, units=units, keep=keep, size=0.2).to(dtype)
        for seed, (steps, streams, inputs, units) in enumerate(sizes)
        for dtype in ([torch.float32, torch.float64] if low is None else [torch.float32])
    ]

    def run(fill: bool) -> list[dict[str, Tensor]]:
        torch.use_deterministic_algorithms(fill)
        try:
            with torch.autocast("cpu", low or torch.bfloat16, enabled=low is not None):
                return [case.everything(form) for case in cases]
        finally:
            torch.use_deterministic_algorithms(False)

    for filled, plain in zip(run(True), run(False), strict=True):
        for name, value in filled.items():
            assert torch.equal(value, plain[name]), name


# ---- derivatives of other kinds are right, or refused


def _input_to_output(form: Form, case: Case) -> Any:
    return lambda inputs: case._replace(inputs=inputs).run(form)[0]


def _second_derivative(form: Form, case: Case) -> Tensor:
    (grad,) = torch.autograd.grad(case.run(form)[0].square().sum(), case.inputs, create_graph=True)
    return torch.autograd.grad(grad.square().sum(), case.inputs)[0]


def _forward_mode(form: Form, case: Case) -> Tensor:
    inputs = case.inputs.detach()
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")  # PyTorch's own, of its use of TorchScript
        outputs = _input_to_output(form, case)(forward_ad.make_dual(inputs, inputs.flip(0)))
        tangent = forward_ad.unpack_dual(outputs).tangent
        assert tangent is not None
        return tangent


def _func_grad(form: Form, case: Case) -> Tensor:
    function = _input_to_output(form, case)
    return torch.func.grad(lambda inputs: function(inputs).square().sum())(case.inputs.detach())


@forms.every_form
@pytest.mark.parametrize("derivative", [_second_derivative, _forward_mode, _func_grad])
@both_types
def test_other_derivatives_are_right_or_refused(form: Form, derivative: Any, dtype: torch.dtype) -> None:
    case = make(form, 7).to(dtype)
    if form.name in ("lstm_compiled", "rhn_batched", "rhn_compiled"):
        with pytest.raises(ArgumentError, match=rf"asked for.*use {LOOPS[form.cell].name}"):
            derivative(form, case)
    elif (form.name, derivative, dtype) == ("lstm_stock", _forward_mode, torch.float32):
        try:  # right by PyTorch's operations, refused by oneDNN's kernel
            value = derivative(form, case)
        except NotImplementedError:
            return
        assert_close(value, derivative(LOOPS[form.cell], case), 1e-4)
    else:
        truth = derivative(LOOPS[form.cell], case)
        assert_close(derivative(form, case), truth, 1e-12 if dtype == torch.float64 else 1e-4)


# ---- arguments that are refused


@forms.every_form
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.zeros(4, 3, 7)}, r"inputs have the shape \[4, 3, 7\], but must be \[steps, streams, 5\]"),
        ({"inputs": torch.zeros(0, 3, 5)}, r"inputs have the shape \[0, 3, 5\], .* with at least one step"),
        ({"inputs": torch.zeros(4, 5)}, r"inputs have the shape \[4, 5\], but must be \[steps, streams, 5\]"),
        ({"state": torch.zeros(2, 6)}, r"state [hs] has the shape \[2, 6\], but must be \[3, 6\]: \[streams, units\]"),
        ({"mask": torch.ones(6)}, r"mask has the shape \[6\], but must be \[3, 6\]"),
        ({"input": torch.zeros(6, 5)}, r"weights input has the shape \[6, 5\], but must be \[\d+, 5\], as its layer's"),
        ({"hidden": torch.zeros(3, 6)}, r"weights \w+ has the shape \[.*\], but must be"),
        ({"hidden": torch.zeros(3, 24, 7)}, r"weights \w+ has the shape \[.*\], but must be"),
    ],
)
def test_shapes_that_do_not_go_together_are_refused(form: Form, change: dict[str, Tensor], message: str) -> None:
    ((name, value),) = change.items()
    case = make(form)
    if name == "state":
        case = case._replace(state=(value.double(), *case.state[1:]))
    elif name in ("input", "hidden"):
        case = case.with_weights(**{name: value.double()})
    elif name == "inputs" or form.name != "gru_stock":
        case = case._replace(**{name: value.double()})
    else:
        return
    with pytest.raises(ArgumentError, match=f"^{message}"):
        case.run(form)


@pytest.mark.parametrize("form", LOOPS.values(), ids=LOOPS)
def test_every_array_of_another_type_or_device_is_refused(form: Form) -> None:
    case = make(form).to(torch.float32)
    for wrong in (torch.float64, torch.bfloat16, "meta"):
        for changed in case.leaves:
            if changed == "W hidden":  # it is what the others are held to
                continue
            other = case.with_leaves(
                lambda name, leaf, changed=changed, wrong=wrong: leaf.to(wrong) if name == changed else leaf
            )
            with pytest.raises(
                ArgumentError, match=r"came as torch\.\w+ on \w+, but must be torch\.float32 on cpu, as"
            ):
                other.run(form)
        assert case.mask is not None
        with pytest.raises(ArgumentError, match=r"^mask came as .* begins with a new state"):
            case._replace(mask=case.mask.to(wrong)).run(form)
    with torch.autocast("cpu", torch.bfloat16):
        case._replace(inputs=case.inputs.bfloat16()).run(form)
        with pytest.raises(ArgumentError, match=r"^inputs came as torch\.float16"):
            case._replace(inputs=case.inputs.half()).run(form)


@pytest.mark.parametrize("form", [forms.COMPILED, forms.RHN_COMPILED], ids=lambda form: form.name)
@pytest.mark.parametrize("wrong", [torch.float16, "meta"])
def test_steps_in_cpp_refuse_other_types_and_devices_and_name_the_form_to_use(form: Form, wrong: Any) -> None:
    case = make(form).to(torch.float32)
    case = case.with_leaves(lambda _, leaf: leaf.to(wrong))._replace(mask=None)
    message = r"torch\.float\d\d on \w+, but .* torch.float32 or torch.float64 on a CPU: .* (lstm_stock|rhn_batched)"
    with pytest.raises(ArgumentError, match=message):
        case.run(form)


# ---- which form runs

CPU_WIDE = {"lstm": "compiled", "gru": "loop", "rhn": "compiled"}
OTHERWISE = {"lstm": "stock", "gru": "loop", "rhn": "batched"}


@pytest.mark.parametrize("cell", ["lstm", "gru", "rhn"])
def test_the_form_and_its_reason(cell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def form(device: str, masked: bool, units: int, missing: str | None) -> str:
        monkeypatch.setattr(cells, "compiler_unavailable", lambda: missing)
        name, reason = cells.select_form(cell, device, masked=masked, units=units)
        assert reason.count(" ") > 4
        assert (missing in reason) == (name == OTHERWISE[cell] != CPU_WIDE[cell] and units >= 100) if missing else True
        return name

    assert form("cpu", True, 100, None) == form("cpu", True, 1500, None) == CPU_WIDE[cell]
    assert form("cpu", True, 99, None) == form("cpu", True, 1500, "no g++") == form("cuda", True, 1500, None)
    assert form("cuda", True, 1500, None) == OTHERWISE[cell]
    for device, units in (("cpu", 99), ("cuda", 1500)):
        assert form(device, False, units, None) == ("batched" if cell == "rhn" else "stock")
    assert form("cpu", False, 100, None) == ("compiled" if cell == "rhn" else "stock")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rhn"])
@pytest.mark.parametrize("keep", [0.5, None])
@pytest.mark.parametrize("wide_from", [1, 10_000])
@pytest.mark.parametrize("missing", [compiler_unavailable(), "no g++"])
def test_what_is_said_is_what_runs_and_is_the_layer(
    cell: Any, keep: float | None, wide_from: int, missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "compiler_unavailable", lambda: missing)
    monkeypatch.setattr(cells, "COMPILED_UNITS", wide_from)
    module = getattr(forms, cell)
    picked = Form(cell, cell, getattr(module, cell))
    case = make(picked, 1, keep=keep)
    name, _ = cells.select_form(cell, "cpu", masked=keep is not None, units=6)
    ran = []
    function = getattr(module, f"{cell}_{name}")
    monkeypatch.setattr(module, f"{cell}_{name}", lambda *arguments: (ran.append(name), function(*arguments))[1])
    check_is_the_loop(picked, case)
    assert ran == [name]
