"""The count of answers with one label a picture, and their accuracies."""

from __future__ import annotations

from typing import Any

from hw2.jobs.answers import Answer
from hw2.training import metrics

LISTED = 20  # how many bad pictures one error names


class Tally:
    """Counts answers, and those that agree with the labels."""

    def __init__(self, k: int):
        self.k = k
        self.good = self.bad = self.labelled = self.first = self.among = 0
        self.rejected = self.accepted_labelled = self.accepted_first = 0
        self.errors: list[str] = []  # the first ones

    def add(self, one: Answer) -> None:
        """Counts an answer."""
        if one.error:
            self.bad += 1
            if len(self.errors) < LISTED:
                self.errors.append(one.error)
            return
        self.good += 1
        self.rejected += one.rejected
        if one.label >= 0:
            right = one.guesses[0] == one.label
            self.labelled += 1
            self.first += right
            self.among += one.label in one.guesses
            self.accepted_labelled += not one.rejected
            self.accepted_first += right and not one.rejected

    def plain(self) -> dict[str, Any]:
        """The counts as plain JSON, with accuracies over the readable pictures that have labels."""
        counts: dict[str, Any] = {
            "num_examples": self.good,
            "num_bad": self.bad,
            "num_labelled": self.labelled,
        }
        if not self.labelled:
            return counts
        top1, topk = self.first / self.labelled, self.among / self.labelled
        counts |= {"top1": top1, "topk": topk, "k": self.k}
        if self.rejected and self.accepted_labelled:
            counts["accepted_top1"] = self.accepted_first / self.accepted_labelled
        return counts

    def words(self) -> str:
        """The accuracies in words; nothing where no labels are known."""
        if not self.labelled:
            return ""
        return metrics.in_words(self.first / self.labelled, self.among / self.labelled, self.k)
