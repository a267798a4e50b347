"""Grades replies, and shows what went wrong first, kind by kind, as a teacher would.

    python tests/gpu/graded.py QUESTIONS.jsonl REPLIES.jsonl     from the repository's root

REPLIES may answer some of the QUESTIONS; each line has the id and the text, as tests/gpu/ask.py
writes them. Prints the evaluation's measures, then the mean grade and the share of fully right
answers of each kind, then for every wrong working its first wrong line beside the right one.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

from tasks.core.evaluation.records import Mark, Question, Reply
from tasks.core.evaluation.score import judge_all, score


def main(questions_file: Path, replies_file: Path) -> None:
    """Prints everything to standard output."""
    texts = {}
    for line in replies_file.read_text().splitlines():
        told = json.loads(line)
        texts[told["id"]] = told["text"]
    questions = []
    for line in questions_file.read_text().splitlines():
        question = Question(**json.loads(line))
        if question.id in texts and (question.twin_of is None or question.twin_of in texts):
            questions.append(question)
    replies = [Reply(texts[question.id], 0.0, 0, 0, "stop") for question in questions]
    marks = judge_all(questions, replies)
    print_measures(score(questions, replies, marks)["measures"])
    print_kinds(questions, marks)
    for question, reply in zip(questions, replies, strict=True):
        print_first_wrong_line(question, reply.text)


def print_measures(measures: dict[str, dict[str, float | None]]) -> None:
    """Each measure with its 95 % interval over days."""
    for name, estimate in measures.items():
        if estimate["value"] is not None:
            interval = f"{estimate['low']:6.1%} to {estimate['high']:6.1%}"
            print(f"{name:18} {estimate['value']:6.1%}  {interval}  of {estimate['n']}")


def print_kinds(questions: list[Question], marks: list[Mark]) -> None:
    """The mean grade, and how many are fully right."""
    of_kind: dict[str, list[Mark]] = defaultdict(list)
    for question, mark in zip(questions, marks, strict=True):
        of_kind[question.kind].append(mark)
    for kind, its in of_kind.items():
        grade = sum(mark["grade"] or 0 for mark in its) / len(its)
        right = sum(mark["fully_right"] or 0 for mark in its)
        print(f"{kind:22} grade {grade:.2f}, fully right {right:.0f} of {len(its)}")


def print_first_wrong_line(question: Question, text: str) -> None:
    """Nothing if the working is right."""
    right = json.loads(question.reference)["working"]
    try:
        told = json.loads(text)["working"]
    except (ValueError, TypeError, KeyError):
        print(f"{question.id} {question.language}: no working in …{text[-80:]!r}")
        return
    for line, said in zip(right, [*told, *[""] * len(right)], strict=False):
        if line != said:
            print(f"{question.id} {question.language}\n   {line}\n   {said}")
            return


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
