"""Several server processes under gunicorn's arbiter, and how they share connections."""
