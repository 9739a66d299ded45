from django.urls import path

from preferences.pages import learner, pairs, pictures, rating, sessions
from preferences.pages import models as page_models

urlpatterns = [
    path("", sessions.index, name="index"),
    path("models/", page_models.models, name="models"),
    path("s/<uuid:session_id>/", sessions.session, name="session"),
    path("s/<uuid:session_id>/controls", learner.controls, name="controls"),
    path("s/<uuid:session_id>/forget", learner.forget, name="forget"),
    path("s/<uuid:session_id>/remember", learner.remember, name="remember"),
    path("s/<uuid:session_id>/use-xgboost", learner.use_xgboost, name="use_xgboost"),
    path("s/<uuid:session_id>/search", learner.search, name="search"),
    path("s/<uuid:session_id>/search/stop", learner.stop_search, name="stop_search"),
    path("s/<uuid:session_id>/<int:number>/", sessions.session, name="batch"),
    path("s/<uuid:session_id>/<int:number>/progress", sessions.progress, name="progress"),
    path("s/<uuid:session_id>/<int:number>/submit", sessions.submit, name="submit"),
    path("s/<uuid:session_id>/<int:number>/pairs", pairs.pairs, name="pairs"),
    path("s/<uuid:session_id>/<int:number>/pairs/undo", pairs.undo_pair, name="undo_pair"),
    path("s/<uuid:session_id>/<int:number>/retry", sessions.retry, name="retry"),
    path("s/<uuid:session_id>/<int:number>/stop", sessions.stop, name="stop"),
    path("candidates/<int:candidate_id>/rate", rating.rate, name="rate"),
    path("candidates/<int:candidate_id>/again", pictures.draw_again, name="draw_again"),
    path("candidates/<int:candidate_id>/<str:kind>", pictures.picture, name="picture"),
]
