from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("preferences.urls")),
]
handler404 = "preferences.pages.errors.not_found"
handler500 = "preferences.pages.errors.failed"
