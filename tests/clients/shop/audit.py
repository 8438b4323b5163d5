# shop/audit.py
import json
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def acting(actor_id, **facts):
    """A transaction whose changes are logged as made by this person."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT audit.set_context(actor_id => %s, context => %s)",
                [None if actor_id is None else str(actor_id), json.dumps({"app": facts})],
            )
        yield


class AuditMiddleware:
    """Belongs below AuthenticationMiddleware, and to a database with ATOMIC_REQUESTS = True."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return self.get_response(request)
        with acting(request.user.pk, path=request.path):
            return self.get_response(request)
