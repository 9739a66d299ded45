"""A person with a browser in a session that asks in one way, for the contract of the kinds of feedback."""

import re
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.test import Client
from django.urls import reverse

from preferences.feedback.kinds import BAD, GOOD, Kind, OfOne, OfTwo
from preferences.models import Batch, Candidate, Rating, Session
from preferences.sessions import training
from tests.factories import SessionFactory, finish

PICTURES = 5


@dataclass(frozen=True)
class Asked:
    """Pictures are numbered from 0. What is said with a number is of that picture, or of that pair of neighbours."""

    client: Client
    kind: Kind
    batch: Batch  # that was drawn

    @cached_property
    def candidates(self) -> list[Candidate]:
        return list(self.batch.candidates.order_by("slot"))

    @property
    def session(self) -> Session:
        return Session.objects.get(pk=self.batch.session_id)

    @property
    def place(self) -> str:
        """The page with the buttons of this kind."""
        return reverse(self.kind.page or "batch", args=[self.batch.session_id, self.batch.number])

    def about(self, word: str, number: int = 0) -> dict[int, float]:
        """What a word stores: values by the numbers of pictures."""
        if isinstance(self.kind, OfTwo):
            _, first, second = self.kind.answers[word]
            return {2 * number: first, 2 * number + 1: second}
        if isinstance(self.kind, OfOne):
            return {number: self.kind.values[word]}
        return {n: GOOD if n == number else BAD for n in range(PICTURES)}

    def event(self, word: str) -> str:
        return self.kind.answers[word][0] if isinstance(self.kind, OfTwo) else self.kind.event

    def expected_counts(self, word: str) -> tuple[int, int, int]:
        """Good, bad and rated pictures after one word: a place, or an answer about two, makes none good or bad."""
        if isinstance(self.kind, OfTwo):
            return 0, 0, 0 if self.event(word) in self.kind.unheard else 2
        value = 0 if self.kind.stands_beside else self.kind.value(word)
        return int(value > 0), int(value < 0), 1

    def say(self, word: str, number: int = 0, token: uuid.UUID | None = None) -> Any:
        form: dict[str, Any] = {"form_token": token or uuid.uuid4()}
        if isinstance(self.kind, OfTwo):
            first, second = (self.candidates[n].pk for n in self.about(word, number))
            return self.client.post(self.place, form | {"first": first, "second": second, "answer": word})
        return self.client.post(reverse("rate", args=[self.candidates[number].pk]), form | {"value": word})

    def take_back(self, number: int = 0) -> Any:
        if isinstance(self.kind, OfTwo):
            return self.client.post(reverse("undo_pair", args=[self.batch.session_id, self.batch.number]))
        form = {"form_token": uuid.uuid4(), "value": "none"}
        return self.client.post(reverse("rate", args=[self.candidates[number].pk]), form)

    def numbers(self, values: Mapping[int, float]) -> dict[int, float]:
        """Values by the ids of pictures as values by their numbers."""
        number = {candidate.picture_id: n for n, candidate in enumerate(self.candidates)}
        return {number[picture]: value for picture, value in values.items()}

    def stored(self) -> list[tuple[str, dict[int, float]]]:
        """The events that stand, oldest first, with their values."""
        standing = Rating.objects.filter(session=self.batch.session_id, undone_at__isnull=True).order_by("pk")
        return [(one.kind, self.numbers(dict(one.items.values_list("picture_id", "value")))) for one in standing]

    def heard(self) -> tuple[set[int], dict[int, float]]:
        """The pictures of which the learner hears something, and how it votes on them in all; without zeros."""
        known = training.training_set(self.session, 4)
        told = {row for judgment in known.judgments for row in judgment.rows}
        votes: Counter[int] = Counter()
        for judgment in known.judgments:
            for row, vote in judgment.votes():
                votes[known.pictures[row]] += vote  # type: ignore[assignment]
        rows = self.numbers(dict.fromkeys((known.pictures[row] for row in told), 0.0))
        return set(rows), {n: vote for n, vote in self.numbers(votes).items() if vote}

    def counts(self) -> tuple[int, int, int]:
        session = self.session
        return session.good_count, session.bad_count, session.rated_count

    def html(self, number: int = 0) -> str:
        """The page with the buttons; of tiles only that of this picture."""
        text: str = self.client.get(self.place).content.decode()
        if isinstance(self.kind, OfTwo):
            return text
        return text.split(f'id="tile-{number + 1}"')[1].split('<div role="group"', maxsplit=1)[0]

    def buttons(self, number: int = 0) -> dict[str, dict[str, str]]:
        """The buttons that say something, by their word: attributes, and the text as `text`."""
        found = {}
        for attributes, text in re.findall(r"<button ([^>]*)>(.*?)</button>", self.html(number), re.DOTALL):
            of_button = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
            if of_button.get("name") in ("value", "answer") and of_button["value"] != "none":
                found[of_button["value"]] = of_button | {"text": text}
        return found

    def pressed(self) -> list[str]:
        """The pressed word of each picture, or “”."""
        tiles = [self.buttons(n) for n in range(PICTURES)]
        return ["".join(word for word, button in of.items() if button["aria-pressed"] == "true") for of in tiles]


def drawn(client: Client, kind: Kind, **controls: Any) -> Asked:
    """A session of this kind whose first batch is there, without a model."""
    fields = {"asking": kind.name, "curation_size": PICTURES} | controls
    return Asked(client, kind, finish(SessionFactory(**fields).batches.get()))
