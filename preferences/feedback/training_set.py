"""What the learner reads of a session: all that was said and not taken back, its controls, its own last state."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
from django.db.models import Q

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Choice, Judgment, Label, Stars, Tie
from preferences.models import Candidate, Embedding, OptimizerState, RatedCandidate, Rating, Session
from preferences.sessions.controls import Controls


@dataclass(frozen=True)
class Said:
    """One rating: its id and kind, the rows that it is about, best first, and their values; the number of the batch."""

    rating: int
    kind: str
    rows: tuple[int, ...]
    values: tuple[float, ...]
    batch_number: int


@dataclass(frozen=True)
class TrainingSet:
    """X: float32 [rows, d], judged vectors, not yet relative to the anchor; and what was said of them.

    candidates: the id of each row's.
    """

    X: npt.NDArray[np.float32]
    said: tuple[Said, ...]
    candidates: tuple[int, ...]

    @property
    def judgments(self) -> tuple[Judgment, ...]:
        """All of it as the learner hears it."""
        return tuple(judgment for said in self.said for judgment in judgments(said))

    @property
    def ratings(self) -> frozenset[int]:
        """The ids of the ratings that stand: not taken back, and not followed by another word on the same picture."""
        return frozenset(said.rating for said in self.said)


def training_set(session: Session, dimension: int, at: datetime | None = None) -> TrainingSet:
    """All that was said in the session since it began to learn anew, and not taken back.

    Of what was said of one picture by itself it is the last word.

    dimension: of X where nothing was said. at: as it was at that moment.
    """
    stands = Q(rating__undone_at__isnull=True)
    if at is not None:
        stands = Q(rating__answered_at__lte=at) & (stands | Q(rating__undone_at__gt=at))
    said = RatedCandidate.objects.filter(stands, rating__session=session)
    said = said.exclude(rating__kind=Rating.Kind.SKIP)
    if session.learns_since is not None:
        said = said.filter(rating__answered_at__gt=session.learns_since)
    items = said.order_by("rating_id", "-value", "pk").values_list(
        "rating_id", "rating__kind", "candidate_id", "value", "candidate__batch__number"
    )
    vectors: dict[int, npt.NDArray[np.float32]] = {}
    # What is drawn again at the moment has its picture and its vector still.
    drawn = Candidate.objects.filter(rated__in=said).exclude(image="").distinct().order_by("pk")
    for pk, vector in drawn.values_list("pk", "vector"):
        vectors[pk] = np.frombuffer(bytes(vector or b""), "<f4")
    row = {pk: number for number, pk in enumerate(vectors)}
    last: dict[int, Said] = {}
    choices: dict[int, Said] = {}
    for rating, kind, candidate, value, number in items:
        if candidate not in row:
            continue
        if kind in Rating.OF_ONE_PICTURE:
            last[candidate] = Said(rating, kind, (row[candidate],), (value,), number)
        else:
            before = choices.get(rating, Said(rating, kind, (), (), number))
            choices[rating] = Said(rating, kind, (*before.rows, row[candidate]), (*before.values, value), number)
    X = np.stack(list(vectors.values())) if vectors else np.empty((0, dimension), np.float32)
    return TrainingSet(X.astype(np.float32), (*last.values(), *choices.values()), tuple(vectors))


@dataclass(frozen=True)
class Seen:
    """Judged pictures that were looked at: vectors [rows, d], looks [rows, k] by view, and what was said of them."""

    X: npt.NDArray[np.float32]
    looks: dict[str, npt.NDArray[np.float32]]
    judgments: tuple[Judgment, ...]


def seen(known: TrainingSet) -> Seen:
    """The rows of `known` that were seen in every view in which any of them was.

    A view can be missing of some: those that were drawn while the image encoder could not be loaded.
    """
    looks: dict[str, dict[int, npt.NDArray[np.float32]]] = {}
    found = Embedding.objects.filter(candidate__in=known.candidates).order_by("encoder")
    for view, pk, vector in found.values_list("encoder", "candidate", "vector"):
        looks.setdefault(view, {})[pk] = vector
    everywhere = set.intersection(*(set(of_view) for of_view in looks.values())) if looks else set()
    rows = [row for row, pk in enumerate(known.candidates) if pk in everywhere]
    row = {number: new for new, number in enumerate(rows)}
    said = [replace(one, rows=tuple(row[n] for n in one.rows)) for one in known.said if row.keys() >= set(one.rows)]
    return Seen(
        known.X[rows],
        {view: np.stack([of_view[known.candidates[row]] for row in rows]) for view, of_view in looks.items() if rows},
        tuple(judgment for one in said for judgment in judgments(one)),
    )


def judgments(said: Said) -> list[Judgment]:
    """What a rating is to the learner; a choice of one among one is nothing."""
    first, *others = said.rows
    best, moment = said.values[0], said.batch_number
    if said.kind == Rating.Kind.STARS:
        return [Stars(first, round(3 + 2 * best), moment)]
    if said.kind == Rating.Kind.GOOD_BAD or best < 0:  # or two that are both bad
        return [Label(row, best > 0, moment) for row in said.rows]
    if not others:
        return []
    return [Tie(first, others[0], moment) if best == 0 else Choice(first, tuple(others), moment)]


def config(controls: Controls) -> LearningConfig:
    """What the learner is to do, by the controls of a session or a controls."""
    return LearningConfig(
        value_model=controls.value_model,
        optimiser=controls.optimiser,
        start=controls.start,
        temperature=controls.temperature,
        ridge_alpha=controls.ridge_alpha,
        xgboost_trees=controls.xgboost_trees,
        xgboost_depth=controls.xgboost_depth,
        xgboost_learning_rate=controls.xgboost_learning_rate,
        xgboost_subsample=controls.xgboost_subsample,
        xgboost_colsample_bytree=controls.xgboost_colsample_bytree,
        xgboost_min_child_weight=controls.xgboost_min_child_weight,
        xgboost_gamma=controls.xgboost_gamma,
        xgboost_reg_lambda=controls.xgboost_reg_lambda,
        optim_steps=controls.optim_steps,
        step_size=controls.step_size,
        momentum=controls.momentum,
        draws=controls.draws_per_picture,
        max_dist=controls.max_dist,
        start_radius=controls.start_radius,
    )


def last_parameters(session: Session, value_model: str, known: TrainingSet) -> bytes | None:
    """The saved state of the session's last fitted model, if it was of this kind and all that it learned from stands.

    A model that goes on from one that was told something which was taken back since would go on believing it.
    """
    states = OptimizerState.objects.filter(batch__session=session, value_model=value_model, parameters__isnull=False)
    state = states.first()
    if state is None or not state.ratings or not known.ratings.issuperset(state.ratings):
        return None
    return bytes(state.parameters or b"")
