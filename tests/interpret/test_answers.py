"""The file of answers: what is in it is never lost, and never paid for twice."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from featflow.config.interpreting import Openai
from featflow.files import WriteError
from featflow.interpret.answers import Answers
from featflow.interpret.client import Client
from featflow.interpret.questions import Answer, Failure, Question, Tokens
from tests.disks import grow, small_disk
from tests.interpret.server import Reply, completion, serving

TEXT = "naïve ⟦mark⟧ \u202e \U0001f600 \ud800 \x00 " * 3


def question(i: int, **changes) -> Question:
    facts = {"max_tokens": 50, "expected": 5} | changes
    return Question("detect", i, "m", (("user", f"Question {i} {TEXT}"),), **facts)


def fill(path: Path, count: int) -> None:
    with Answers(path) as answers:
        for i in range(count):
            answers.asking(question(i))
            said = Answer(f"{i} {TEXT}", finish="stop", logprobs=[("1", {"1": -0.5}), ("\n", {})])
            answers.answered(question(i), said, Tokens(100 + i, 7), {"temperature"})


def test_what_is_kept_comes_back(tmp_path):
    path = tmp_path / "sub" / "answers.jsonl"
    fill(path, 3)
    with Answers(path) as answers:
        answers.asking(question(3))
        answers.failed(question(3), Failure("prompt too long", permanent=True), billed=False)
        answers.asking(question(4))
        answers.failed(question(4), Failure("500"), billed=False)
        answers.asking(question(5))
        answers.failed(question(5), Failure("no answer"), billed=True)
        answers.asking(question(6))  # and is killed
    answers = Answers(path)
    answers.read()
    assert [answers.get(question(i)).content for i in range(3)] == [f"{i} {TEXT}" for i in range(3)]
    assert answers.get(question(0)).logprobs == [("1", {"1": -0.5}), ("\n", {})]
    assert answers.get(question(3)) == Failure("prompt too long", permanent=True)
    assert [answers.get(question(i)) for i in (4, 5, 6, 7)] == [None] * 4
    assert answers.without["m"] == {"temperature"}
    lost = [question(i).bound for i in (5, 6)]
    used = Tokens(303 + sum(b.prompt for b in lost), 21 + sum(b.completion for b in lost))
    assert answers.spent == {"m": used}
    habits = answers.habits["m", "detect"]
    assert (habits.answers, habits.prompt, habits.completion) == (3, 303, 21)


def test_the_digest_is_of_the_whole_request():
    one = question(1)
    assert one.digest == question(1, expected=99).digest
    others = [question(2), question(1, max_tokens=51), question(1, logprobs=True)]
    others += [question(1, schema={"type": "object"})]
    assert len({one.digest, *(other.digest for other in others)}) == 5


def test_a_file_cut_off_anywhere_is_repaired(tmp_path):
    path = tmp_path / "answers.jsonl"
    fill(path, 6)
    whole = path.read_bytes()
    rng = random.Random(0)
    for size in (0, 1, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(20))):
        path.write_bytes(whole[:size])
        complete = whole[:size].count(b"\n")
        with Answers(path) as answers:
            found = [i for i in range(6) if answers.get(question(i))]
        assert found == list(range(complete // 2))
        assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:complete])


def test_a_line_longer_than_a_block_is_repaired(tmp_path):
    path = tmp_path / "answers.jsonl"
    fill(path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * 200_000)
    with Answers(path) as answers:
        assert answers.get(question(0))
    assert path.read_bytes() == whole


def test_foreign_lines_are_passed_over_and_kept(tmp_path, caplog):
    path = tmp_path / "answers.jsonl"
    fill(path, 2)
    good = path.read_bytes().splitlines(keepends=True)
    foreign = [b"\n", b"[]\n", b"\xff\xfe\n", b'{"question": 3}\n', b'{"a": [1]}\n', b"null\n"]
    path.write_bytes(b"".join([*good[:2], *foreign, *good[2:]]))
    before = path.read_bytes()
    with Answers(path) as answers:
        assert answers.get(question(0)) and answers.get(question(1))
    assert path.read_bytes() == before


def test_a_full_disk_ends_the_run_and_leaves_whole_lines(tmp_path, monkeypatch):
    with small_disk(tmp_path / "disk", "64k") as disk, serving() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-test")
        server.fault = lambda call: Reply(200, completion("x" * 5000).body)
        settings = Openai(kind="openai", base_url=server.url, explainer="m", concurrency=2)
        client = Client(settings, disk / "answers.jsonl")
        with pytest.raises(WriteError, match="no space is left"):
            client.ask([question(i) for i in range(40)], "test")
        assert len(server.calls) < 16
        text = (disk / "answers.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        kept = sum("answer" in line for line in lines)
        assert kept >= 8
        grow(disk, "4m")
        server.calls.clear()
        replies = client.ask([question(i) for i in range(40)], "test")
        assert all(isinstance(reply, Answer) for reply in replies)
        assert len(server.calls) == 40 - kept


def test_another_process_waits(tmp_path):
    path = tmp_path / "answers.jsonl"
    code = (
        "import sys; from pathlib import Path; from tests.interpret.test_answers import fill;"
        "print('begins', flush=True); fill(Path(sys.argv[1]), 2); print('done')"
    )
    with Answers(path) as answers:
        command = [sys.executable, "-c", code, str(path)]
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert other.stdout and other.stdout.readline() == "begins\n"
        answers.asking(question(9))
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.3)
    assert other.wait(10) == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["feature"] for line in lines] == [9, 0, 0, 1, 1]
