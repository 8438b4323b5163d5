"""Settings of the application. The database is set by the tests."""

INSTALLED_APPS = ["shop"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "USER": "app",
        "PORT": "5432",
        "NAME": "",
        "ATOMIC_REQUESTS": True,
        "TEST": {"TEMPLATE": "guarded"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIDDLEWARE = ["shop.views.Login", "shop.audit.AuditMiddleware"]
ROOT_URLCONF = "shop.views"
SECRET_KEY = "of no value"
TIME_ZONE = "America/New_York"
USE_TZ = True
