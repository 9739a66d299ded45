"""What the learner gets of a session: what was said in it, its controls, its own last state."""

from datetime import datetime

from preferences.feedback import training_set as feedback
from preferences.feedback.training_set import TrainingSet
from preferences.learning.config import LearningConfig
from preferences.sessions.controls import Controls
from preferences.sessions.models import OptimizerState, Session


def training_set(session: Session, dimension: int, at: datetime | None = None) -> TrainingSet:
    """All that was said in the session since it began to learn anew, and not taken back; as it was at a moment."""
    return feedback.training_set(session.pk, dimension, since=session.learns_since, at=at)


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
