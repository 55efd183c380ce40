"""gunicorn in front of an application: `gunicorn -c deploy/gunicorn.conf.py app:application`.

The worker is gjrpc's own server; `worker_class = "gevent"` would be gunicorn's, on which methods registered as blocking run in
gevent's thread pool too and deadlines hold, only slower. A reload with code that does not load ends gunicorn: with
`python -m gjrpc.serve --workers 2` the old workers serve on.
"""

bind = "127.0.0.1:9999"
worker_class = "gjrpc.worker.Worker"
workers = 2
keepalive = 75
