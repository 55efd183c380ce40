"""Serves an application by gunicorn: `gunicorn -c deploy/gunicorn.conf.py app:application`.

The workers run gjrpc's own server. With `worker_class = "gevent"` they run gunicorn's: blocking methods and deadlines work
there too, but calls are slower. If new code can't be loaded at a reload, gunicorn exits; with `python -m gjrpc.serve --workers 2`
the old workers keep serving.
"""

bind = "127.0.0.1:9999"
worker_class = "gjrpc.worker.Worker"
workers = 2
keepalive = 75
