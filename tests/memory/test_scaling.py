"""The fit behind docs/scaling.md: laws, constants, residuals, and the page that they go into."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import predictions, scaling
from benchmarks.inputs import Size
from benchmarks.laws import LAWS, Law, forward, parameters
from benchmarks.scaling import Cost, Fit, fit, growth, written
from benchmarks.stages import STAGES

LAW = Law(
    {"T": lambda s: s.tokens, "m²": lambda s: s.features**2},
    Size(tokens=1000, features=64),
    {"tokens": (2000, 4000), "features": (128, 256)},
)
PAGE = Path(__file__).parents[2] / "docs/scaling.md"


def costs(seconds, peak=lambda size: 0.0):
    return {
        point: Cost(seconds(size), 0.0, peak(size), 0.0) for point, size in LAW.points().items()
    }


def test_a_law_that_holds_is_found():
    found = fit(LAW, costs(lambda s: 0.5 + 1e-3 * s.tokens + 2e-5 * s.features**2))
    assert found.start == pytest.approx(0.5)
    assert found.constants == pytest.approx({"T": 1e-3, "m²": 2e-5})
    assert found.residuals == pytest.approx({"tokens": 0.0, "features": 0.0}, abs=1e-9)
    assert found.seconds(LAW, Size(tokens=10**6, features=1000)) == pytest.approx(1020.5)


def test_a_law_that_does_not_hold_leaves_a_residual():
    found = fit(LAW, costs(lambda s: 1 + 1e-3 * s.tokens + 0.1 * s.features))
    assert abs(found.residuals["tokens"]) < 0.01
    assert found.residuals["features"] > 0.1


def test_a_bent_middle_does_not_move_the_constants():
    straight = costs(lambda s: 0.5 + 1e-3 * s.tokens)
    bent = straight | {("tokens", 1): replace(straight["tokens", 1], seconds=5.0)}
    assert fit(LAW, bent).constants == fit(LAW, straight).constants
    assert fit(LAW, bent).residuals["tokens"] == pytest.approx(1.0)


def test_growth_is_told_for_what_grows():
    of = costs(lambda s: 1.0, lambda s: 10**6 * s.features)
    assert growth(LAW, of, "peak") == pytest.approx({"features": 10**6})


def test_parameters_and_forward_are_the_models_own():
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import MistralConfig, MistralForCausalLM

    size = Size(hidden=32, width=48, heads=4, vocabulary=100, context=16, layers=2)
    config = MistralConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        attn_implementation="eager",  # the counter knows no other attention on a CPU
    )
    model = MistralForCausalLM(config)
    norms = sum(p.numel() for p in model.parameters() if p.ndim == 1)
    assert parameters(size) == model.num_parameters() - norms
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.zeros(1, size.context, dtype=torch.long), use_cache=False)
    assert counter.get_total_flops() == pytest.approx(forward(size) * size.context, rel=0.02)


def test_every_stage_has_a_law_and_a_prediction():
    fits = {stage: Fit(1.0, dict.fromkeys(law.terms, 1e-12), {}) for stage, law in LAWS.items()}
    assert LAWS.keys() == STAGES.keys()
    tables = predictions.tables(fits, 2)
    missing = {stage for stage in STAGES if f"| {stage} |" not in tables["paper"]}
    assert missing == {"tokenizer", "finetune"}  # fetched; like train


def test_the_page_takes_every_table():
    names = ["machine", "time", "memory", "paper", "large"]
    page = written(PAGE.read_text(), {name: f"new {name}" for name in names})
    assert all(f"<!-- {name} -->\nnew {name}\n<!-- /{name} -->" in page for name in names)
    assert written(page, {"time": "newer"}).count("new time") == 0


def test_a_page_without_a_mark_is_refused():
    with pytest.raises(ValueError, match="<!-- time -->"):
        written("nothing", {"time": "x"})


def test_the_three_sizes_differ():
    for stage, law in LAWS.items():
        for axis, (middle, large) in law.axes.items():
            assert getattr(law.base, axis) < middle < large, f"{stage}: {axis}"
    assert scaling.ROUNDS > 1
