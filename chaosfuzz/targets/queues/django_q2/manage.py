"""Django's manage.py for this project: `migrate` sets up, `qcluster` is the worker."""

import os
import sys


def main() -> int:
    """Run a management command; return 2 if Django or django-q2 is missing."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chaosfuzz.targets.queues.django_q2.settings")
    try:
        import django_q  # noqa: F401 - its absence gets a message of its own
        from django.core.management import execute_from_command_line
    except ImportError as error:
        remedy = "install it: pip install 'chaosfuzz[django-q2]'"
        print(f"chaosfuzz: django-q2 is missing ({error}); {remedy}", file=sys.stderr)
        return 2
    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
