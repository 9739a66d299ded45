"""The body of the job that searches for the settings of XGBoost: one trial."""

from preferences.feedback.selectors import any_taken_back
from preferences.jobs import leases
from preferences.jobs.leases import Lease
from preferences.learning.feedback import Feedback
from preferences.learning.reasons import CannotFit
from preferences.learning.search import Trial, next_trial
from preferences.sessions import learned_text, training
from preferences.tuning.models import Search
from preferences.tuning.services import add_trial


def make_trial(lease: Lease) -> None:
    """Make the next trial of a search; its job then waits for its next turn, or has ended."""
    search = Search.objects.select_related("session", "job").filter(job=lease.job_id).first()
    if search is None:
        return
    session = search.session
    tried = [Trial(**trial) for trial in search.trials]
    try:
        rows = training.training_set(session, dimension=1, at=search.created_at)
        if any_taken_back(rows.ratings):
            leases.fail(lease, "You took back ratings that settings were being tried on: search again.")
            return
        # A tree cuts at one number at a time: it does not matter from where deviations are counted.
        feedback = Feedback(rows.X, rows.judgments)
        trial = next_trial(feedback, training.config(session), tried, session.seed % 2**31)
    except CannotFit as why:
        leases.fail(lease, learned_text.no_search(why.shortage))
        return
    except Exception:
        # The worker stays alive, the user gets a sentence, the log gets the traceback.
        leases.fail(lease, "The search failed unexpectedly; the worker's log has the details.")
        raise
    add_trial(lease, search, trial.settings, trial.loss)
