from django.urls import path

from . import views

urlpatterns = [path("organizations/<int:organization_id>/switch/", views.switch, name="switch")]
