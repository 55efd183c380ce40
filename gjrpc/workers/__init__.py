"""Several processes, on gunicorn's arbiter."""
