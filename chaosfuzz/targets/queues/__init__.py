"""Ready targets: job queues that people use, each with a profile and what it runs."""
