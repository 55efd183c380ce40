"""Options of similar programs, and what to write here instead.

Owns the table, collected from gunicorn, uvicorn, hypercorn, uWSGI, Flask, waitress and common guesses. It knows options only by
name.
"""

HINTS = {
    **dict.fromkeys(("--port", "--host", "--address", "--listen", "-b", "-p", "-H"), "use --bind HOST:PORT"),
    **dict.fromkeys(("--unix-socket", "--uds", "--socket", "--fd"), "use --bind unix:PATH, or a socket passed by systemd"),
    **dict.fromkeys(("--umask", "--socket-umask"), "use --socket-mode"),
    **dict.fromkeys(("--reload", "--autoreload"), "use --workers 2 or more, and send SIGHUP to reload the code"),
    **dict.fromkeys(("-w", "--processes", "--worker", "--num-workers"), "use --workers N"),
    **dict.fromkeys(("--timeout", "-t"), "use --worker-timeout, or for clients --head-timeout, --body-timeout and so on"),
    **dict.fromkeys(("--graceful-timeout", "--timeout-graceful-shutdown", "--shutdown-timeout"), "use --grace"),
    **dict.fromkeys(("--keep-alive", "--keepalive", "--timeout-keep-alive"), "use --idle-timeout"),
    **dict.fromkeys(("--certfile", "--ssl-certfile", "--certificate", "--tls-cert", "--cert-file"), "use --cert FILE"),
    **dict.fromkeys(("--keyfile", "--ssl-keyfile", "--tls-key", "--key-file"), "use --key FILE"),
    **dict.fromkeys(("--ca-certs", "--ssl-ca-certs", "--ca", "--cacert"), "use --client-ca FILE"),
    **dict.fromkeys(("--ssl", "--tls", "--https"), "use --cert FILE, or --self-signed to try it out"),
    **dict.fromkeys(("--token", "--tokens", "--api-key", "--auth"), "use --token-file FILE"),
    **dict.fromkeys(("--password", "--passwords", "--user", "--users", "-u"), "use --htpasswd FILE"),
    **dict.fromkeys(("--cors", "--cors-origins", "--origins"), "use --allowed-origins ORIGINS"),
    **dict.fromkeys(("--hosts", "--allow-hosts", "--server-name"), "use --allowed-hosts NAMES"),
    **dict.fromkeys(("--proxy-headers", "--forwarded-allow-ips", "--proxies"), "use --trusted-proxies NETWORKS"),
    **dict.fromkeys(("--access-logfile", "--accesslog"), "use --access-log common or json; it goes to standard output"),
    **dict.fromkeys(("--log", "--logfile", "--log-file", "--error-logfile"), "the log goes to standard error: 2> FILE"),
    **dict.fromkeys(("--debug", "--verbose", "-v"), "use --log-level debug"),
    **dict.fromkeys(("--quiet", "-q"), "use --log-level error"),
    **dict.fromkeys(
        ("--daemon", "--daemonize", "-D", "--pid", "--pidfile"), "run it under systemd or another supervisor: see deploy/"
    ),
    **dict.fromkeys(("--limit-concurrency", "--worker-connections", "--connections"), "use --max-connections or --max-calls"),
    **dict.fromkeys(("--limit-request-line", "--max-url"), "use --max-target"),
    **dict.fromkeys(("--limit-request-fields", "--max-fields"), "use --max-headers"),
    **dict.fromkeys(("--max-size", "--body-limit", "--limit-body", "--client-max-body-size"), "use --max-body"),
    **dict.fromkeys(("--app", "--target", "--wsgi", "-m"), "give the target without an option, for example app:registry"),
}
"""What to write here, by options of similar programs."""
