"""Requests that change something, and something that stands in for Django's authentication."""

from django.http import Http404, HttpResponse
from django.urls import path

from shop.models import Label


class Login:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.user = type("User", (), {"pk": request.headers.get("X-Test-User")})
        return self.get_response(request)


def add(request, name):
    Label.objects.create(name=name)
    return HttpResponse("added")


def fail(request, name):
    Label.objects.create(name=name)
    if name == "404":
        raise Http404
    raise RuntimeError(name)


urlpatterns = [path("add/<name>", add), path("fail/<name>", fail)]
