"""Thoughts in front of an answer are no part of it, however they are marked."""

import pytest

from featflow.interpret.parsing import Unusable, levels, sentence, truths
from featflow.interpret.questions import Answer

ANSWER = "fires on names of months"


@pytest.mark.parametrize(
    "content",
    [
        ANSWER,
        f"<think>It may be</think> {ANSWER}",
        f"It may be months.\n</think>\n\n{ANSWER}",
        f"It may be…</think> {ANSWER}",
        f"</think>{ANSWER}",
        f"<THINK>a</THINK>\n{ANSWER}",
        f"< thinking >a</ thinking >{ANSWER}",
        f"a</thought>{ANSWER}",
        f"<seed:think>a</seed:think>{ANSWER}",
        f"<reasoning>\na\n</reasoning>\n{ANSWER}",
        f"[THINK]a[/THINK]{ANSWER}",
        f"a[/THINK] {ANSWER}",
        f"◁think▷a◁/think▷{ANSWER}",
        f"<|begin_of_thought|>a<|end_of_thought|>{ANSWER}",
        f"a<|END_THINKING|>{ANSWER}",
        f"<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
        # nested, with the inner one closed or not; a second one behind the answer
        f"<think>a<think>b</think>c</think> {ANSWER}",
        f"<think>is it <think>?</think> {ANSWER}",
        f"a</think>b</think>{ANSWER}",
        f"<think>a</think>{ANSWER}<think>b</think>",
        f"<think>do I write `</think>` first?</think>{ANSWER}",
        f"<think>a</think>Explanation: {ANSWER}",
    ],
)
def test_the_explanation_is_what_is_outside(content):
    assert sentence(Answer(content)) == ANSWER


def test_tags_that_are_spoken_of():
    text = "the tags `<think>` and '</think>' of a chat, <b> and [1]"
    assert sentence(Answer(text)) == text


@pytest.mark.parametrize(
    "content",
    ["<think>It may be months", f"{ANSWER} <think>or", "a</think><think>b", "[THINK]a", "<think>"],
)
def test_thoughts_without_an_end_are_no_answer(content):
    with pytest.raises(Unusable, match="its thoughts have no end"):
        sentence(Answer(content))


@pytest.mark.parametrize("content", ["<think>a</think>", "a</think>\n", "</think>"])
def test_thoughts_alone_are_no_answer(content):
    with pytest.raises(Unusable, match="it is empty"):
        sentence(Answer(content))


def test_lists_behind_thoughts():
    assert levels(Answer("perhaps [3, 3]</think>[0, 10]"), 2) == [0.0, 10.0]
    assert truths(Answer('a</think>```json\n{"answers": [true, false]}\n```'), 2) == [True, False]
