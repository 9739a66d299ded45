"""What a session's page asks of the learner besides its controls. Thin, as views.py."""

import uuid

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from preferences import forgetting, selectors, services
from preferences.controls import Optimiser, ValueModel
from preferences.models import Session
from preferences.views import post_or_back


@post_or_back
def forget(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    forgetting.forget(_session(request, session_id))
    messages.success(request, "Forgotten. The next batch begins anew; your ratings are kept.")
    return redirect("session", session_id)


@post_or_back
def remember(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    forgetting.remember(_session(request, session_id))
    messages.success(request, "The next batch will use all of your ratings again.")
    return redirect("session", session_id)


@post_or_back
def use_xgboost(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    session = _session(request, session_id)
    services.update_controls(session, {"value_model": ValueModel.XGBOOST, "optimiser": Optimiser.OWN})
    messages.success(request, "The next batch will use XGBoost.")
    return redirect("session", session_id)


def _session(request: HttpRequest, session_id: uuid.UUID) -> Session:
    try:
        return selectors.session_of(request.user, session_id)
    except Session.DoesNotExist as error:
        raise Http404("There is no such session; the list shows yours.") from error
