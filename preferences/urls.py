from django.urls import path

from preferences import learner_views, views

urlpatterns = [
    path("", views.index, name="index"),
    path("models/", views.models, name="models"),
    path("s/<uuid:session_id>/", views.session, name="session"),
    path("s/<uuid:session_id>/controls", views.controls, name="controls"),
    path("s/<uuid:session_id>/forget", learner_views.forget, name="forget"),
    path("s/<uuid:session_id>/remember", learner_views.remember, name="remember"),
    path("s/<uuid:session_id>/use-xgboost", learner_views.use_xgboost, name="use_xgboost"),
    path("s/<uuid:session_id>/search", views.search, name="search"),
    path("s/<uuid:session_id>/search/stop", views.stop_search, name="stop_search"),
    path("s/<uuid:session_id>/<int:number>/", views.session, name="batch"),
    path("s/<uuid:session_id>/<int:number>/progress", views.progress, name="progress"),
    path("s/<uuid:session_id>/<int:number>/submit", views.submit, name="submit"),
    path("s/<uuid:session_id>/<int:number>/pairs", views.pairs, name="pairs"),
    path("s/<uuid:session_id>/<int:number>/pairs/undo", views.undo_pair, name="undo_pair"),
    path("s/<uuid:session_id>/<int:number>/retry", views.retry, name="retry"),
    path("s/<uuid:session_id>/<int:number>/stop", views.stop, name="stop"),
    path("candidates/<int:candidate_id>/rate", views.rate, name="rate"),
    path("candidates/<int:candidate_id>/again", views.draw_again, name="draw_again"),
    path("candidates/<int:candidate_id>/<str:kind>", views.picture, name="picture"),
]
