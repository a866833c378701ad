"""The provider: right answers are read right, all others are failures, and never scores."""

import json
import math

import numpy as np
import pytest

from featflow.config.errors import FeatflowError
from featflow.config.interpreting import Openai, Price
from featflow.interpret import prompts
from featflow.interpret.providers import Marked, Outcome, Record
from featflow.interpret.providers.openai import OpenaiProvider, make
from featflow.runtime.log import log
from tests.interpret.server import EXPLANATION, Call, completion, error, serving, token


def record(text: str, level: int = 3) -> Record:
    tokens = tuple(text.split("|"))
    return Record(tokens, tuple(range(len(tokens))), (level,) * len(tokens), (0.5,) * len(tokens))


RECORDS = [record(" a|,| b\n"), record(",| c|\t|d\\"), record("e|⟦f⟧|,")]
COMMAS = [[10.0 * (token == ",") for token in r.tokens] for r in RECORDS]
ITEMS = [(i, EXPLANATION, r) for i, r in enumerate(RECORDS)]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-test")
    with serving() as server:
        yield server


@pytest.fixture
def provider(server, tmp_path):
    def new(**settings) -> OpenaiProvider:
        base = {"kind": "openai", "base_url": server.url, "explainer": "big", "simulator": "small"}
        return OpenaiProvider(Openai(**(base | settings)), tmp_path / "answers.jsonl", 0.01)

    return new


def test_every_kind_of_question(server, provider):
    one = provider()
    assert one.name == "big"
    assert one.explain({7: RECORDS, 9: RECORDS[:1]}) == dict.fromkeys((7, 9), Outcome(EXPLANATION))
    assert [outcome.failure for outcome in one.simulate(ITEMS)] == [None] * 3
    two = [(1, EXPLANATION, RECORDS[:2]), (2, EXPLANATION, RECORDS)]
    truths = [Outcome([True, False]), Outcome([True, False, True])]
    assert one.detect(two) == truths
    marked = [(f, e, [Marked(r, (1,)) for r in records]) for f, e, records in two]
    assert one.fuzz(marked) == truths
    assert one.categorise([(1, EXPLANATION, ["code", "prose"])]) == [Outcome("code")]
    assert [c.body["model"] for c in server.calls] == ["big"] * 2 + ["small"] * 8
    assert all(call.body["temperature"] == 0 for call in server.calls)
    count = len(server.calls)
    again = provider()
    assert again.explain({7: RECORDS}) == {7: Outcome(EXPLANATION)}
    assert again.detect(two) == truths and again.fuzz(marked) == truths
    assert again.simulate(ITEMS) == one.simulate(ITEMS)
    assert len(server.calls) == count


def test_the_explainer_sees_levels_and_the_simulator_none(server, provider):
    one = provider(simulation="whole")
    one.explain({7: RECORDS})
    one.simulate(ITEMS)
    one.detect([(7, EXPLANATION, RECORDS)])
    one.fuzz([(7, EXPLANATION, [Marked(RECORDS[0], (0, 2))])])
    explain, *_, detect, fuzz = server.calls
    assert "Excerpt 1:\n a\t3\n,\t3\n b\\n\t3\n\nExcerpt 2:\n,\t3" in explain.text
    blind = [record(" a|,| b\n", level=9)]
    assert prompts.detect("", blind) == prompts.detect("", RECORDS[:1])
    assert prompts.simulate_lines("", blind[0]) == prompts.simulate_lines("", RECORDS[0])
    assert prompts.simulate_whole("", blind[0]) == prompts.simulate_whole("", RECORDS[0])
    assert detect.text.endswith('1. " a, b\\n"\n2. ", c\\td\\\\"\n3. "e⟦f⟧,"')
    assert fuzz.text.endswith('1. "⟦ a⟧,⟦ b\\n⟧"')


def test_no_text_breaks_out_of_its_line():
    hostile = 'x"\n\n3. "y\r\x00\u2028\u202e\x85\\n'
    text = prompts.detect(EXPLANATION, [record(hostile)])[1][1]
    line = text.split("\n")[-1]
    assert text.count("\n") == 3 and json.loads(line.removeprefix("1. ")) == hostile
    assert len(prompts.simulate_lines("", record(hostile))[1][1].splitlines()) == 4


def weights(rng, levels) -> dict[str, float]:
    """Log-probabilities of so many texts, not normalised, and of something else."""
    mass = rng.dirichlet(np.ones(len(levels) + 1))
    return {t: float(np.log(p)) for t, p in zip([*levels, "?"], mass, strict=True)}


def lined(tokens, values, tops, ten_is_two=False):
    """The repeated lines as tokens with log-probabilities, and their text."""
    pieces = []
    for shown, value, top in zip(tokens, values, tops, strict=True):
        pieces += [token(shown), token("\t")]
        if ten_is_two and value == "10":
            pieces += [token("1", top), token("0", {"0": math.log(0.75), "\n": math.log(0.25)})]
        elif ten_is_two and value == "1":
            pieces += [token("1", top), token("\n", {"0": math.log(0.25), "\n": math.log(0.75)})]
            continue
        else:
            pieces.append(token(value, top))
        pieces.append(token("\n"))
    return completion("".join(p["token"] for p in pieces), logprobs=pieces)


def test_the_expected_level_where_ten_is_a_token(server, provider):
    rng = np.random.default_rng(0)
    levels = [str(v) for v in range(11)]
    one = record(" the|1|,| 10|ü|x\ty")
    tops = [weights(rng, levels) for _ in one.tokens]
    values = [max(levels, key=lambda v, top=top: top[v]) for top in tops]
    shown = [prompts.escaped(t) for t in one.tokens]
    server.fault = lambda call: lined(shown, values, tops)
    (outcome,) = provider(simulation="logprobs").simulate([(1, EXPLANATION, one)])
    mass = np.array([[math.exp(top[v]) for v in levels] for top in tops])
    np.testing.assert_allclose(outcome.value, mass @ np.arange(11) / mass.sum(1))


def test_the_expected_level_where_ten_is_one_and_nought(server, provider):
    rng = np.random.default_rng(1)
    digits = [str(v) for v in range(10)]
    one = record("a|b|c")
    tops = [weights(rng, digits) for _ in one.tokens]
    server.fault = lambda call: lined(one.tokens, ["10", "1", "5"], tops, ten_is_two=True)
    (outcome,) = provider(simulation="logprobs").simulate([(1, EXPLANATION, one)])
    mass = np.array([[math.exp(top[v]) for v in digits] for top in tops])
    value = np.arange(10.0)
    value[1] = 0.75 * 10 + 0.25 * 1
    assert outcome.value[0] == pytest.approx(mass[0] @ value / mass[0].sum())
    value[1] = 0.25 * 10 + 0.75 * 1
    assert outcome.value[1] == pytest.approx(mass[1] @ value / mass[1].sum())
    known = np.arange(10) != 1  # whether this 1 would have been a 10, nobody knows
    assert outcome.value[2] == pytest.approx(
        mass[2][known] @ np.arange(10)[known] / mass[2][known].sum()
    )


def test_auto_takes_log_probabilities_where_there_are_some(server, provider):
    outcomes = provider().simulate(ITEMS)
    for outcome, levels in zip(outcomes, COMMAS, strict=True):
        np.testing.assert_allclose(outcome.value, levels, atol=1e-9)
    assert len(server.calls) == 3


@pytest.mark.parametrize("how", ["null", "empty", "no top", "400", "403"])
def test_auto_takes_whole_records_where_there_are_none(server, provider, how):
    def fault(call: Call):
        if not call.body.get("logprobs"):
            return None
        if how in ("400", "403"):
            return error(int(how), "You are not allowed to request logprobs from this model")
        bare = [token("a") | {"top_logprobs": []}]
        return completion("a\t0", logprobs={"null": None, "empty": [], "no top": bare}[how])

    server.fault = fault
    assert provider().simulate(ITEMS) == [Outcome(levels) for levels in COMMAS]
    assert len(server.calls) == 1 + 3
    later = provider()
    assert later.simulate([*ITEMS, (9, EXPLANATION, record("x|,"))])[3] == Outcome([0.0, 10.0])
    assert len(server.calls) == 1 + 3 + 1
    forced = provider(simulation="logprobs").simulate(ITEMS)
    assert all(outcome.value is None for outcome in forced)
    assert "no log-probabilities" in forced[0].failure
    assert len(server.calls) == 5 + 2  # asking again would not help


def test_auto_does_not_decide_by_what_passes(server, provider):
    server.fault = lambda call: error(500)
    outcomes = provider(retries=0).simulate(ITEMS * 3)
    assert {outcome.failure for outcome in outcomes} == {"500: no"} and len(server.calls) == 3
    refused = [True]
    server.fault = lambda call: completion(None, refusal="no") if refused.pop() else None
    refused[:] = [False] * 9 + [True]
    outcomes = provider().simulate(ITEMS)
    assert [outcome.failure for outcome in outcomes] == ["refused", None, None]
    np.testing.assert_allclose(outcomes[1].value, COMMAS[1], atol=1e-9)


BAD_LEVELS = {
    "too few": '{"levels": [0, 1]}',
    "too many": '{"levels": [0, 1, 2, 3]}',
    "too large": '{"levels": [0, 1, 11]}',
    "negative": '{"levels": [0, -1, 1]}',
    "not a number": '{"levels": [0, "1", 1]}',
    "truth": '{"levels": [0, true, 1]}',
    "NaN": '{"levels": [0, NaN, 1]}',
    "Infinity": '{"levels": [0, Infinity, 1]}',
    "another key": '{"values": [0, 1, 2]}',
    "no list": '{"levels": 3}',
    "no JSON": "The levels are 0, 1, 2.",
    "cut JSON": '{"levels": [0, 1',
    "deep": "[" * 100_000,
    "empty": "",
    "none": None,
    "thoughts alone": "<think>0 1 2</think>",
}


@pytest.mark.parametrize("content", BAD_LEVELS.values(), ids=BAD_LEVELS)
def test_a_malformed_answer_is_asked_again_once_and_then_a_failure(server, provider, content):
    item = [(1, EXPLANATION, RECORDS[0])]
    server.fault = lambda call: completion(content)
    (outcome,) = provider(simulation="whole").simulate(item)
    assert outcome.value is None and outcome.failure.startswith("malformed answer")
    assert len(server.calls) == 2
    first, second = (call.body["messages"] for call in server.calls)
    assert second[:2] == first and "cannot be used" in second[-1]["content"]
    assert provider(simulation="whole").simulate(item) == [outcome] and len(server.calls) == 2


def test_a_second_answer_can_help(server, provider):
    server.fault = lambda call: completion("[0, 1]") if call.index == 0 else completion("[0, 1, 2]")
    item = [(1, EXPLANATION, RECORDS[0])]
    assert provider(simulation="whole").simulate(item) == [Outcome([0.0, 1.0, 2.0])]
    assert server.calls[1].body["messages"][2] == {"role": "assistant", "content": "[0, 1]"}
    assert "2 values instead of 3" in server.calls[1].body["messages"][3]["content"]


@pytest.mark.parametrize(
    "content",
    ['```json\n{"levels": [0, 1, 2]}\n```', "<think>hm\n</think>\n[0, 1.0, 2]", " [0,1,2]\n"],
)
def test_harmless_wrapping_is_taken_off(server, provider, content):
    server.fault = lambda call: completion(content)
    item = [(1, EXPLANATION, RECORDS[0])]
    assert provider(simulation="whole").simulate(item) == [Outcome([0.0, 1.0, 2.0])]


BAD_LINES = {
    "too few": "a\t0\nb\t1",
    "too many": "a\t0\nb\t1\nc\t2\nd\t3",
    "out of range": "a\t0\nb\t11\nc\t2",
    "negative": "a\t0\nb\t-1\nc\t2",
    "no number": "a\t0\nb\tunknown\nc\t2",
    "shifted": "b\t0\nc\t1\nd\t2",
    "prose": "I would say so.",
}


@pytest.mark.parametrize("content", BAD_LINES.values(), ids=BAD_LINES)
def test_malformed_lines_are_a_failure(server, provider, content):
    logprobs = [token(piece) for piece in content]
    server.fault = lambda call: completion(content, logprobs=logprobs)
    item = [(1, EXPLANATION, record("a|b|c"))]
    (outcome,) = provider().simulate(item)
    assert outcome.value is None and outcome.failure.startswith("malformed answer")
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    "content", ['{"answers": [true]}', '{"answers": [1, 0]}', '{"answers": ["yes", "no"]}', "true"]
)
def test_malformed_truths_are_a_failure(server, provider, content):
    server.fault = lambda call: completion(content)
    (outcome,) = provider().detect([(1, EXPLANATION, RECORDS[:2])])
    assert outcome.value is None and outcome.failure.startswith("malformed answer")
    (outcome,) = provider().fuzz([(1, EXPLANATION, [Marked(r, (0,)) for r in RECORDS[:2]])])
    assert outcome.value is None
    (outcome,) = provider().categorise([(1, EXPLANATION, ["code"])])
    assert outcome.value is None


@pytest.mark.parametrize(
    "reply",
    [
        completion(None, refusal="I cannot help with that."),
        completion("", finish="content_filter"),
        error(400, "flagged by our content management policy", "content_filter"),
    ],
)
def test_a_refusal_is_a_failure_for_good(server, provider, reply):
    server.fault = lambda call: reply if "Excerpt 2" in call.text else None
    for _ in range(2):
        outcomes = provider().explain({1: RECORDS, 2: RECORDS[:1]})
        assert outcomes[2] == Outcome(EXPLANATION) and outcomes[1].value is None
        assert outcomes[1].failure.startswith("refused")
        assert len(server.calls) == 2


def test_an_answer_cut_off_gets_more_room_once(server, provider):
    cut = completion("half of an expl", finish="length")
    server.fault = lambda call: cut if call.index == 0 else None
    assert provider().explain({1: RECORDS}) == {1: Outcome(EXPLANATION)}
    first, second = (call.body for call in server.calls)
    assert second.pop("max_tokens") == 4 * first.pop("max_tokens") and first == second
    server.fault = lambda call: cut
    assert provider().explain({2: RECORDS[:1]}) == {2: Outcome(None, "malformed answer: cut off")}
    assert len(server.calls) == 4


def test_explanations_are_one_line(server, provider):
    server.fault = lambda call: completion(' Explanation: "words\n in code" ')
    assert provider().explain({1: RECORDS}) == {1: Outcome("words in code")}
    server.fault = lambda call: completion("so " * 300)
    assert "not one sentence" in provider().explain({2: RECORDS[:1]})[2].failure


def test_a_budget_ends_a_run_well(server, provider):
    prices = {"big": Price(input=1, output=10), "small": Price(input=1, output=10)}
    worst = 1024 * 10 / 1e6
    outcomes = provider(prices=prices, max_usd=1.5 * worst, concurrency=1).explain(
        {i: [record(f"word{i}|b")] for i in range(60)}
    )
    done = sum(outcome.value is not None for outcome in outcomes.values())
    assert 0 < done < 60 and done == len(server.calls)
    assert {o.failure for o in outcomes.values() if o.value is None} == {"budget"}
    richer = provider(prices=prices, max_usd=10.0)
    outcomes = richer.explain({i: [record(f"word{i}|b")] for i in range(60)})
    assert all(outcome.value for outcome in outcomes.values()) and len(server.calls) == 60


def test_the_whole_run_is_announced(server, provider, caplog, monkeypatch):
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level("INFO")
    prices = {"big": Price(input=1, output=10), "small": Price(input=1, output=10)}

    def announce() -> str:
        caplog.clear()
        one = provider(prices=prices, max_usd=1.0)
        blank = [(f, "", r) for f, _, r in ITEMS]
        explain = {f: RECORDS for f, _, _ in ITEMS}
        one.announce(explain, blank, [(0, "", RECORDS)], [])
        return caplog.messages[-1]

    first = announce()
    assert first.startswith(f"5 questions to ask {server.url} (1 to detect, 1 to explain, 3 to sim")
    assert "about $" in first and "max_usd 1, spent so far $0.0000" in first
    assert not server.calls
    provider().explain({f: RECORDS for f, _, _ in ITEMS})
    assert announce().startswith("4 questions to ask")
    server.fault = lambda call: error(400, "no logprobs") if call.body.get("logprobs") else None
    provider().simulate(ITEMS)
    provider().detect([(0, EXPLANATION, RECORDS)])
    assert announce().startswith(f"0 questions to ask {server.url} (none), 7 answered before")


def test_a_key_that_is_refused_stops_the_run(server, tmp_path):
    server.fault = lambda call: error(401, "Incorrect API key provided: key-of-a-test")
    one = make(Openai(kind="openai", base_url=server.url, explainer="big"), tmp_path)
    with pytest.raises(FeatflowError, match="set OPENAI_API_KEY") as stop:
        one.explain({i: RECORDS for i in range(30)})
    assert "key-of-a-test" not in str(stop.value) and len(server.calls) == 1
