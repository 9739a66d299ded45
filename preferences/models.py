"""Where Django looks for tables: each is in the room that it belongs to."""

from preferences.feedback.models import RatedPicture, Rating
from preferences.jobs.models import Job, Worker
from preferences.library.models import Descriptor, Embedding, Picture
from preferences.sessions.models import Batch, Candidate, OptimizerState, Session
from preferences.tuning.models import Search

__all__ = [
    "Batch",
    "Candidate",
    "Descriptor",
    "Embedding",
    "Job",
    "OptimizerState",
    "Picture",
    "RatedPicture",
    "Rating",
    "Search",
    "Session",
    "Worker",
]
