"""What the learner gets of a session: what was said in it, its controls, its own last state."""

from datetime import datetime

from preferences.feedback import training_set as feedback
from preferences.feedback.training_set import TrainingSet
from preferences.learning.config import LearningConfig
from preferences.sessions.controls import LearningControls
from preferences.sessions.models import OptimizerState, Session


def training_set(session: Session, dimension: int, at: datetime | None = None) -> TrainingSet:
    """All that was said in the session since it began to learn anew, and not taken back; as it was at a moment."""
    return feedback.training_set(session.pk, dimension, since=session.learns_since, at=at)


def config(chosen: LearningControls) -> LearningConfig:
    """What the learner is to do, by the controls of a session or of a batch."""
    return LearningConfig(**chosen.controls(LearningControls))


def last_parameters(session: Session, value_model: str, known: TrainingSet) -> bytes | None:
    """The saved state of the session's last fitted model, if it was of this kind and all that it learned from stands.

    A model that goes on from one that was told something which was taken back since would go on believing it.
    """
    states = OptimizerState.objects.filter(batch__session=session, value_model=value_model, parameters__isnull=False)
    state = states.first()
    if state is None or not state.ratings or not known.ratings.issuperset(state.ratings):
        return None
    return bytes(state.parameters or b"")
