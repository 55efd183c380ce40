"""gunicorn in front of an application: `gunicorn -c deploy/gunicorn.conf.py app:application`.

Methods registered as blocking run in gevent's thread pool here too; deadlines hold.
"""

bind = "127.0.0.1:9999"
worker_class = "gevent"
workers = 2
