"""django-q2 with the ORM broker: settings, task, producer."""
