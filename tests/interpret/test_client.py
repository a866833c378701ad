"""Each fault of an endpoint: the run ends right, and the next one asks only for what is missing."""

import email.utils
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest

from featflow.config.errors import FeatflowError
from featflow.config.interpreting import Openai, Price
from featflow.interpret.client import Client
from featflow.interpret.questions import Answer, Failure, Question
from featflow.runtime.log import log
from tests.interpret.server import Call, Reply, completion, error, serving

KEY = "sk-test-0123456789abcdefghij"
PRICES = {"m": Price(input=1.0, output=10.0)}


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def said(caplog, monkeypatch):
    """All that was logged."""
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.DEBUG)
    return caplog


class Runs:
    """Runs on one answers.jsonl."""

    def __init__(self, server, folder: Path):
        self.server, self.path = server, folder / "answers.jsonl"

    def __call__(self, count: int = 6, first_wait: float = 0.01, **settings) -> list:
        """The replies to questions 0, …, count − 1."""
        base = {"kind": "openai", "base_url": self.server.url, "explainer": "m", "timeout": 5}
        client = Client(Openai(**(base | settings)), self.path, first_wait)
        return client.ask(questions(count), "test")

    def asked(self, *args, **settings) -> tuple[list, list[int]]:
        """The replies, and which questions were sent for them, sorted."""
        self.server.calls.clear()
        replies = self(*args, **settings)
        return replies, sorted(number(call) for call in self.server.calls)


@pytest.fixture
def runs(server, tmp_path) -> Runs:
    return Runs(server, tmp_path)


def questions(count: int) -> list[Question]:
    ask = (("system", "Be brief."), ("user", "Question {}"))
    return [
        Question("explain", i, "m", tuple((r, c.format(i)) for r, c in ask), 100, expected=10)
        for i in range(count)
    ]


def number(call: Call) -> int:
    return int(call.text.split()[1])


def on(*numbers: int, times: int = 10**6):
    """A fault's condition: these questions, the first so many times."""
    return lambda call: number(call) in numbers and call.earlier < times


def good(replies) -> list[int]:
    return [i for i, reply in enumerate(replies) if isinstance(reply, Answer)]


def test_answers_come_in_order_and_are_asked_for_once(server, runs):
    server.fault = lambda call: completion(f"answer {number(call)}")
    replies, asked = runs.asked(20)
    assert [reply.content for reply in replies] == [f"answer {i}" for i in range(20)]
    assert asked == list(range(20))
    again, asked = runs.asked(22)
    assert again[:20] == replies and asked == [20, 21]
    twice = questions(23)[22:] * 3
    client = Client(
        Openai(kind="openai", base_url=server.url, explainer="m"), runs.path, first_wait=0.01
    )
    assert len(set(client.ask(twice, "test"))) == 1 and len(server.calls) == 3


def test_no_more_requests_are_under_way_than_allowed(server, runs):
    server.fault = lambda call: Reply(200, completion("yes").body, delay=0.05)
    assert good(runs(12, concurrency=3)) == list(range(12))
    assert server.most_at_once == 3


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (error(401, f"Incorrect API key provided: {KEY}"), "set OPENAI_API_KEY"),
        (error(403, "Country not supported"), "the key may not use 'm'"),
        (error(404, "The model `m` does not exist", "model_not_found"), "no model 'm'"),
        (error(402, "Insufficient credits"), "no credit"),
        (error(429, "You exceeded your quota", "insufficient_quota"), "no credit"),
    ],
)
def test_what_dooms_every_question_stops_the_run(server, runs, fault, advice):
    server.fault = lambda call: fault if number(call) >= 4 else None
    with pytest.raises(FeatflowError, match=advice) as stop:
        runs(40, concurrency=2)
    assert str(fault.status) in str(stop.value) and "answers.jsonl" in str(stop.value)
    assert KEY not in str(stop.value)
    assert len(server.calls) <= 4 + 2
    server.fault = lambda call: None
    replies, asked = runs.asked(40)
    assert good(replies) == list(range(40)) and asked == list(range(4, 40))


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_a_burst_passes(server, runs, status):
    failing = on(1, 2, 3, times=2)
    server.fault = lambda call: error(status) if failing(call) else None
    replies, asked = runs.asked()
    assert good(replies) == list(range(6))
    assert Counter(asked) == {0: 1, 1: 3, 2: 3, 3: 3, 4: 1, 5: 1}
    assert runs.asked()[1] == []


def test_what_lasts_is_a_failure_and_asked_for_again(server, runs, said):
    server.fault = lambda call: error(500, "on fire") if number(call) in (1, 4) else None
    replies, asked = runs.asked(retries=2)
    assert good(replies) == [0, 2, 3, 5] and asked.count(1) == asked.count(4) == 3
    assert replies[1] == replies[4] == Failure("500: on fire (3 tries)")
    assert "2 × 500: on fire" in said.text
    server.fault = lambda call: None
    replies, asked = runs.asked()
    assert good(replies) == list(range(6)) and asked == [1, 4]


def test_the_wait_doubles(server, runs):
    server.fault = lambda call: error(500)
    runs.asked(1, first_wait=0.1, retries=3)
    times = [call.at for call in server.calls]
    waits = [b - a for a, b in pairwise(times)]
    for wait, full in zip(waits, (0.1, 0.2, 0.4), strict=True):
        assert full / 2 <= wait < full + 0.1


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_is_obeyed_by_all(server, runs, date):
    seconds = 2.0 if date else 0.6
    until = email.utils.formatdate(time.time() + seconds, usegmt=True) if date else str(seconds)
    soon = Reply(200, completion("yes").body, delay=0.2)
    server.fault = lambda call: [error(429, retry_after=until), soon, None][min(call.index, 2)]
    replies, asked = runs.asked(5, concurrency=2)
    assert good(replies) == [0, 1, 2, 3, 4] and len(asked) == 6
    waits = [call.at - server.calls[0].at for call in server.calls]
    assert waits[1] < 0.3  # it was under way
    assert (0.9 if date else 0.6) <= waits[2] <= waits[-1] < seconds + 0.8  # whole seconds


def test_an_endpoint_that_is_down_is_given_up(server, runs):
    server.fault = lambda call: error(503, "down") if call.index >= 3 else None
    with pytest.raises(FeatflowError, match=r"503: down .*in a row without an answer"):
        runs(200, concurrency=4, retries=1)
    assert len(server.calls) <= 3 + 2 * (16 + 4)
    server.fault = lambda call: None
    assert len(runs.asked(200)[1]) == 197


def test_a_time_out(server, runs):
    slow = on(2, times=1)
    server.fault = lambda call: Reply(200, completion("late").body, delay=1) if slow(call) else None
    replies, asked = runs.asked(timeout=0.3)
    assert good(replies) == list(range(6)) and Counter(asked)[2] == 2
    server.fault = lambda call: Reply(200, completion("late").body, delay=1)
    replies, asked = runs.asked(7, timeout=0.2, retries=1)
    assert replies[6] == Failure("no answer within 0.2 s (2 tries)") and asked == [6, 6]


@pytest.mark.parametrize(
    "fault",
    [
        Reply(drop=True),
        Reply(200, completion("x" * 5000).body, cut=True),
        Reply(200, b'{"choices": [{"mess'),
        Reply(200, b"<html>a proxy</html>", {"Content-Type": "text/html"}),
        Reply(200, {"choices": []}),
        Reply(200, {"choices": [{"index": 0}]}),
        Reply(200, None),
        Reply(200, b"\xff\xfe\x00"),
    ],
)
def test_a_response_that_is_none(server, runs, fault):
    failing = on(0, 5, times=1)
    server.fault = lambda call: fault if failing(call) else None
    replies, asked = runs.asked()
    assert good(replies) == list(range(6)) and Counter(asked)[0] == Counter(asked)[5] == 2
    server.fault = lambda call: fault
    replies, asked = runs.asked(7, retries=1)
    assert isinstance(replies[6], Failure) and asked == [6, 6]
    server.fault = lambda call: None
    assert runs.asked(7)[1] == [6]


def test_no_server_at_all(runs, tmp_path):
    with pytest.raises(FeatflowError, match="no connection"):
        runs(20, base_url="http://127.0.0.1:9/v1", retries=0)
    assert not [line for line in lines(runs.path) if line.get("billed")]


def test_a_long_prompt_and_a_filtered_one_fail_alone_and_for_good(server, runs):
    said = "This model's maximum context length is 8192 tokens"
    faults = {
        1: error(400, said, "context_length_exceeded"),
        2: error(400, "The response was filtered", "content_filter"),
        3: error(400, "something else"),
    }
    server.fault = lambda call: faults.get(number(call))
    replies, asked = runs.asked()
    assert good(replies) == [0, 4, 5] and asked == list(range(6))
    assert replies[1].reason.startswith("prompt too long")
    assert replies[2].reason.startswith("refused")
    again, asked = runs.asked()
    assert asked == [3] and again == replies


def test_parameters_that_an_endpoint_does_not_take_are_left_out(server, runs):
    def fault(call: Call) -> Reply | None:
        if "temperature" in call.body:
            return error(400, "'temperature' does not support 0", "unsupported_value")
        if "max_tokens" in call.body:
            said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return error(400, said, "unsupported_parameter")
        return None

    server.fault = fault
    assert good(runs(concurrency=1)) == list(range(6)) and len(server.calls) == 8
    assert server.calls[-1].body["max_completion_tokens"] == 100
    assert runs.asked(7)[1] == [6]  # a later run knows


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def dollars(path: Path) -> float:
    """What was spent, by the file alone."""
    spent, pending = 0.0, Counter()
    for line in lines(path):
        if "asked" in line:
            pending[line["question"]] += 1
            bound = line["asked"]
        elif line.get("usage") or line.get("billed") is False:
            pending[line["question"]] -= 1
            prompt, out = line.get("usage") or (0, 0)
            spent += (prompt * 1 + out * 10) / 1e6
    return spent + sum(pending.values()) * (bound[0] * 1 + bound[1] * 10) / 1e6


def test_the_budget_is_never_exceeded(server, runs, said):
    one = (100 * 1 + 10 * 10) / 1e6  # what an answer costs; at most it could cost about 1.05e-3
    limit = 12 * one
    replies, asked = runs.asked(30, prices=PRICES, max_usd=limit, concurrency=8)
    assert 1 <= len(good(replies)) == len(asked) < 12
    assert {reply.reason for reply in replies if isinstance(reply, Failure)} == {"budget"}
    assert dollars(runs.path) == pytest.approx(len(asked) * one)
    assert "is reached" in said.text and f"${len(asked) * one:.4f} spent" in said.text
    assert runs.asked(30, prices=PRICES, max_usd=limit)[1] == []
    server.fault = lambda call: completion("yes", usage=(90, 10))
    known = len(asked)
    replies, asked = runs.asked(30, prices=PRICES, max_usd=1.0)
    assert good(replies) == list(range(30)) and len(asked) == 30 - known


def test_the_budget_holds_where_every_answer_costs_the_most(server, runs):
    bound = questions(1)[0].bound
    worst = (bound.prompt + 10 * bound.completion) / 1e6
    server.fault = lambda call: completion("yes", usage=bound)
    replies, asked = runs.asked(9, prices=PRICES, max_usd=3.5 * worst, concurrency=8)
    assert len(good(replies)) == len(asked) == 3
    assert dollars(runs.path) == pytest.approx(3 * worst)


def test_what_may_have_been_billed_counts(server, runs):
    bound = questions(1)[0].bound
    worst = (bound.prompt + 10 * bound.completion) / 1e6
    server.fault = lambda call: Reply(drop=True)
    replies, asked = runs.asked(1, prices=PRICES, max_usd=3.5 * worst, retries=6)
    assert replies == [Failure("budget")] and asked == [0, 0, 0]
    assert dollars(runs.path) == pytest.approx(3 * worst)
    assert runs.asked(1, prices=PRICES, max_usd=3.5 * worst)[1] == []
    server.fault = lambda call: error(500)  # costs nothing
    replies, asked = runs.asked(1, prices=PRICES, max_usd=4.5 * worst, retries=6)
    assert len(asked) == 7 and "500" in replies[0].reason
    server.fault = lambda call: completion("yes", usage=None)  # nobody knows
    assert good(runs(1, prices=PRICES, max_usd=4.5 * worst)) == [0]
    assert dollars(runs.path) == pytest.approx(4 * worst)


def test_the_estimate_comes_first_and_learns(server, runs, said):
    runs(4, prices=PRICES)
    first = said.messages[0]
    characters = sum(question.characters for question in questions(4))
    expected = (4 * round(characters / 4 / 3.5) + 4 * 10 * 10) / 1e6
    assert first.startswith(f"test: 4 questions to ask {server.url} (4 to explain): about")
    assert f"about ${expected:.4f}, at most $" in first
    said.clear()
    runs(10, prices=PRICES)
    assert "6 questions to ask" in said.messages[0] and "4 answered before" in said.messages[0]
    assert "about 600 tokens in, 60 out; about $0.0012" in said.messages[0]
    said.clear()
    runs(11)
    assert "has no price for m" in said.messages[0]


def test_batches_give_up_together(server, runs):
    server.fault = lambda call: error(500)
    settings = Openai(kind="openai", base_url=server.url, explainer="m", retries=0)
    client = Client(settings, runs.path, 0.01)
    for start in range(0, 12, 4):
        client.ask(questions(16)[start : start + 4], "test")
    with pytest.raises(FeatflowError, match="16 questions in a row without"):
        client.ask(questions(16)[12:], "test")


def test_two_runs_at_once_ask_once(server, runs):
    server.fault = lambda call: Reply(200, completion("yes").body, delay=0.05)
    replies: list[list] = []
    threads = [Thread(target=lambda: replies.append(runs(8, concurrency=2))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies[0] == replies[1] and good(replies[0]) == list(range(8))
    assert sorted(number(call) for call in server.calls) == list(range(8))
    assert [path.name for path in runs.path.parent.iterdir()] == ["answers.jsonl"]


def test_a_killed_run_loses_no_answer(server, runs):
    server.fault = lambda call: Reply(200, completion("yes").body, delay=0.1)
    code = (
        "import sys; from pathlib import Path; from tests.interpret.test_client import Runs;"
        "from types import SimpleNamespace as N;"
        "Runs(N(url=sys.argv[1]), Path(sys.argv[2]))(30, concurrency=2)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, server.url, str(runs.path.parent)])
    while len(server.calls) < 9:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = sum("answer" in line for line in lines(runs.path))
    assert kept >= 6
    replies, asked = runs.asked(30, concurrency=30)
    assert good(replies) == list(range(30)) and len(asked) == 30 - kept


def test_the_key_is_nowhere(server, runs, said, monkeypatch):
    echoed = f"key {KEY}, Bearer {KEY}, sk-te***hij, Basic dTpw"
    faults = {0: error(400, echoed), 1: error(500, echoed), 2: completion(f"I saw {KEY}")}
    server.fault = lambda call: faults.get(number(call))
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    replies = runs(retries=1, base_url=None)
    assert all(call.headers["authorization"] == f"Bearer {KEY}" for call in server.calls)
    faults[6] = error(401, echoed)
    with pytest.raises(FeatflowError) as stop:
        runs(7, retries=1, base_url=None)
    everything = [runs.path.read_text(), said.text, str(stop.value), repr(replies)]
    for text in everything:
        assert KEY not in text and "dTpw" not in text
    assert "I saw [key]" in everything[0] and "sk-te" not in said.text


@pytest.mark.parametrize("key", ["m", "EMPTY", "model"])
def test_a_placeholder_for_a_key_changes_no_answer(server, runs, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.fault = lambda call: completion("the model m asks an EMPTY question")
    for asked in ([0, 1], []):
        replies, sent = runs.asked(2)
        assert [reply.content for reply in replies] == ["the model m asks an EMPTY question"] * 2
        assert sent == asked


def test_settings_that_cannot_work(tmp_path, monkeypatch):
    def client(**settings):
        return Client(Openai(kind="openai", explainer="m", **settings), tmp_path / "a.jsonl")

    with pytest.raises(FeatflowError, match="max_usd: there is no price for m, s"):
        client(max_usd=1, simulator="s")
    with pytest.raises(FeatflowError, match="does not begin with http"):
        client(base_url="localhost:8000")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:hidden@localhost/v1")
    with pytest.raises(FeatflowError, match="leave user and password out") as told:
        client()
    assert "hidden" not in str(told.value)
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ünfug")
    with pytest.raises(FeatflowError, match="OPENAI_API_KEY holds characters") as told:
        client()
    assert "nfug" not in str(told.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(FeatflowError, match="set OPENAI_API_KEY in the environment"):
        client()
    client(base_url="http://localhost:8000/v1")
    assert not os.listdir(tmp_path)
