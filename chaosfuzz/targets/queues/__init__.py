"""Ready targets: job queues in use, each with its profile, worker and producer."""
