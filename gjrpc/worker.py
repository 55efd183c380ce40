"""`gunicorn -k gjrpc.worker.Worker`: the name under which gunicorn finds its worker class here."""

from gjrpc.workers.worker import Worker

__all__ = ["Worker"]
