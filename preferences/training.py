"""What the learner reads of a session: everything that was said and not taken back, and its own last state."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preferences.models import Candidate, OptimizerState, RatedCandidate, Rating, Session


@dataclass(frozen=True)
class Said:
    """One rating: its kind, the rows that it is about, best first, and their values; and the number of the batch."""

    kind: str
    rows: tuple[int, ...]
    values: tuple[float, ...]
    batch_number: int


@dataclass(frozen=True)
class TrainingSet:
    """X: float32 [rows, d], judged vectors, not yet relative to the anchor; and what was said of them."""

    X: npt.NDArray[np.float32]
    said: tuple[Said, ...]


def training_set(session: Session, dimension: int) -> TrainingSet:
    """All that was said in the session and not taken back; of one picture by itself, the last word."""
    said = RatedCandidate.objects.filter(rating__session=session, rating__undone_at__isnull=True)
    said = said.exclude(rating__kind=Rating.Kind.SKIP)
    items = said.order_by("rating_id", "-value", "pk").values_list(
        "rating_id", "rating__kind", "candidate_id", "value", "candidate__batch__number"
    )
    vectors: dict[int, npt.NDArray[np.float32]] = {}
    drawn = Candidate.objects.filter(rated__in=said, state=Candidate.State.READY).distinct().order_by("pk")
    for pk, vector in drawn.values_list("pk", "vector"):
        vectors[pk] = np.frombuffer(bytes(vector or b""), "<f4")
    row = {pk: number for number, pk in enumerate(vectors)}
    last: dict[int, Said] = {}
    choices: dict[int, Said] = {}
    for rating, kind, candidate, value, number in items:
        if candidate not in row:
            continue
        if kind in Rating.OF_ONE_PICTURE:
            last[candidate] = Said(kind, (row[candidate],), (value,), number)
        else:
            before = choices.get(rating, Said(kind, (), (), number))
            choices[rating] = Said(kind, (*before.rows, row[candidate]), (*before.values, value), number)
    X = np.stack(list(vectors.values())) if vectors else np.empty((0, dimension), np.float32)
    return TrainingSet(X.astype(np.float32), (*last.values(), *choices.values()))


def last_parameters(session: Session, value_model: str) -> bytes | None:
    """The saved state of the session's last fitted model, if it was of this kind."""
    states = OptimizerState.objects.filter(batch__session=session, value_model=value_model, parameters__isnull=False)
    saved = states.values_list("parameters", flat=True).first()
    return None if saved is None else bytes(saved)
