from django.urls import path

from . import team, views

urlpatterns = [
    path("sign-up/", views.SignUp.as_view(), name="sign_up"),
    path("organizations/<int:organization_id>/switch/", views.switch, name="switch"),
    path("team/", team.team, name="team"),
    path("team/new/", team.AddMember.as_view(), name="member_create"),
    path("team/<int:pk>/remove/", team.RemoveMember.as_view(), name="member_remove"),
]
