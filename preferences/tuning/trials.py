"""The body of the task that searches for the settings of XGBoost: one trial."""

from preferences.learning.feedback import Feedback
from preferences.learning.search import Trial, next_trial
from preferences.learning.value_models import CannotFit
from preferences.sessions import training
from preferences.tuning import services as tuning_services
from preferences.tuning.models import Search


def make_trial(search_id: int) -> bool:
    """Make the next trial of a search. True when another is to follow."""
    search = Search.objects.select_related("session").filter(pk=search_id, state=Search.State.RUNNING).first()
    if search is None:
        return False
    session = search.session
    tried = [Trial(**trial) for trial in search.trials]
    try:
        rows = training.training_set(session, dimension=1, at=search.created_at)
        if not training.training_set(session, dimension=1).ratings.issuperset(rows.ratings):
            tuning_services.fail_search(
                search_id, "You took back ratings that settings were being tried on: search again."
            )
            return False
        # A tree cuts at one number at a time: it does not matter from where deviations are counted.
        feedback = Feedback(rows.X, rows.judgments)
        trial = next_trial(feedback, training.config(session), tried, session.seed % 2**31)
    except CannotFit as reason:
        tuning_services.fail_search(search_id, f"Nothing was searched: {reason}")
        return False
    except Exception:
        # The worker stays alive, the user gets a sentence, the log gets the traceback.
        tuning_services.fail_search(search_id, "The search failed unexpectedly; the worker's log has the details.")
        raise
    return tuning_services.add_trial(search_id, len(tried), trial.settings, trial.loss)
