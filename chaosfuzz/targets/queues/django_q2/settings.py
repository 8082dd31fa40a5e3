"""Django's settings. CHAOSFUZZ_DSN, or else DATABASE_URL, names the database."""

import os
from urllib.parse import parse_qsl, unquote, urlsplit

# The user's own environment may hold a DATABASE_URL of another database.
_URL = urlsplit(os.environ.get("CHAOSFUZZ_DSN") or os.environ["DATABASE_URL"])

SECRET_KEY = "chaosfuzz-tests-django-q2-with-a-key-that-protects-nothing"
INSTALLED_APPS = ["django_q"]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(_URL.path.lstrip("/")),
        "USER": unquote(_URL.username or ""),
        "PASSWORD": unquote(_URL.password or ""),
        "HOST": _URL.hostname or "",
        "PORT": str(_URL.port or ""),
        "OPTIONS": dict(parse_qsl(_URL.query)),
    }
}
Q_CLUSTER = {
    "workers": 2,
    "timeout": 4,
    "retry": 6,
    "orm": "default",
    "poll": 0.2,
    "max_attempts": 0,
    "queue_limit": 4,
    "guard_cycle": 0.5,
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s [Q] %(levelname)s %(message)s"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
        "ready": {"class": "chaosfuzz.targets.queues.django_q2.readiness.ReadyHandler"},
    },
    "loggers": {"django-q": {"handlers": ["stderr", "ready"], "level": "INFO"}},
}
