"""gunicorn's worker that runs gjrpc's server: `gunicorn -k gjrpc.worker.Worker app:application`.

Owns what a worker process does from its fork to its end: patching, signals, signs of life, draining. gunicorn's own settings
apply if they have a meaning here; `check_config` warns of the others. The master is gunicorn's, or that of `master`.
"""

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import gevent
import gevent.event
import gevent.events
import gevent.selectors
import gevent.signal
import gevent.socket
import gevent.subprocess
from gevent import monkey
from gevent.hub import get_hub, reinit
from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker as BaseWorker

from gjrpc.app.application import Application
from gjrpc.http.access_log import Answered, AnswerLog, common_time
from gjrpc.http.forwarded import LOCAL, Proxies
from gjrpc.http.peer import host_of
from gjrpc.limits import Limits, Timeouts
from gjrpc.process import logs
from gjrpc.server.watchdog import Watchdog
from gjrpc.workers.balance import Board, SharingServer

_BEAT = 0.5  # seconds between two signs of life

# gunicorn's settings that its own workers know and this one does not.
_WITHOUT_EFFECT = (
    "threads", "worker_connections", "limit_request_field_size", "proxy_protocol", "pre_request", "post_request",
    "forwarded_allow_ips", "secure_scheme_headers", "forwarder_headers", "header_map", "http_protocols", "sendfile",
    "permit_unconventional_http_method", "permit_unconventional_http_version", "casefold_http_method", "permit_obsolete_folding",
)  # fmt: skip

_LONGEST_LINE = 8190  # gunicorn's MAX_REQUEST_LINE
_UNLIMITED_LINE = 1024 * 1024  # what "unlimited" means to gunicorn's own parser
_MOST_FIELDS = 32768  # gunicorn's MAX_HEADERS, also meant by 0


class Worker(BaseWorker):  # type: ignore[misc]  # gunicorn has no types
    """A process that serves until its master stops it or has ended.

    Attributes:
        born: when it was made, in seconds of the monotonic clock.
    """

    sockets: list[Any]
    board = Board()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.born = time.monotonic()
        self._at_once = False
        self._servers: list[SharingServer] = []

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Warn of settings that have no effect here. This runs in the master, whose log must not block either."""
        logs.adopt()
        unset = type(cfg)().settings  # defaults as `get` returns them; the declared ones differ
        for name in (name for name in _WITHOUT_EFFECT if name in unset):  # not every version has them all
            if cfg.settings[name].get() != unset[name].get():
                log.warning("the setting %s has no effect on %s", name, cls.__name__)
        if cfg.preload_app:
            log.warning(
                "preload_app loads the application before gevent patches the standard library: its calls may block; turn it off"
            )

    def init_process(self) -> None:
        """Patch the standard library before anything of the application is imported, then load and serve."""
        logs.adopt()
        for number in self.SIGNALS:  # the master's handlers would only queue them, which does nothing in a worker
            signal.signal(number, signal.SIG_DFL)
        monkey.patch_all()  # what this imports the master has imported already: workers start sooner
        get_hub().print_exception = logs.greenlet_failed
        reinit()  # if the master has an event loop after all, this process must not share it
        self._wake = gevent.event.Event()
        # The master's sockets are blocking ones of the unpatched kind.
        self.sockets = [gevent.socket.socket(fileno=listener.detach()) for listener in self.sockets]
        super().init_process()

    def init_signals(self) -> None:
        """Let the signals that stop a worker end it at once until it serves: there is nothing to lose."""
        # A terminal sends these to all its processes, but only the master acts on them.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGWINCH, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGABRT, self.handle_abort)  # not on the event loop, which may be blocked

    def handle_abort(self, number: int, frame: Any) -> None:
        """Log where the worker hangs, and end: the master has received no sign of life."""
        here = "".join(traceback.format_stack(frame)).rstrip()
        log = self.log.error_log
        words = "worker %d blocked the event loop for too long; its stack:"
        log.handle(log.makeRecord(log.name, logging.CRITICAL, __file__, 0, words, (self.pid,), None, sinfo=here))
        super().handle_abort(number, frame)

    def make_server(self, listener: Any) -> SharingServer:
        """Make the server for one listening socket from gunicorn's settings."""
        cfg = self.cfg
        default = Timeouts()
        timeouts = replace(default, idle=cfg.keepalive or default.idle, grace=_within(cfg.graceful_timeout))
        if isinstance(self.wsgi, Application):
            self.wsgi.trust(_proxies(cfg.forwarded_allow_ips).scheme)
        return SharingServer(
            listener,
            self.wsgi,
            limits=_limits(cfg),
            timeouts=timeouts,
            access_log=self._access_log(),
            watchdog=Watchdog(),
            hosts=("*",),  # as with gunicorn's own workers: a server on loopback there is mostly behind a proxy
            ssl_context=ssl_context(cfg) if cfg.is_ssl else None,
            board=self.board,
            environ=self.environ,
        )

    @property
    def environ(self) -> dict[str, bool]:
        """What a WSGI application's environ says about the processes (PEP 3333)."""
        return {"wsgi.multiprocess": self.cfg.workers > 1}

    def run(self) -> None:
        """Serve until the worker has to end."""
        self._servers = servers = [self.make_server(listener) for listener in self.sockets]
        self.notify()
        for server in servers:
            server.start()
        gevent.signal_handler(signal.SIGTERM, self._stop)
        gevent.signal_handler(signal.SIGQUIT, self._stop, True)
        gevent.signal_handler(signal.SIGUSR1, self._reopen_logs)
        self.serves(servers)
        while self.alive and not self._orphaned():
            self._beat()
        self.board.leave()
        stops = [gevent.spawn(server.stop, 0 if self._at_once else None) for server in servers]
        while not all(stop.ready() for stop in stops):
            if self._at_once or self._orphaned():
                gevent.joinall([gevent.spawn(server.stop, 0) for server in servers])
            self._beat(stops)

    def serves(self, servers: list[SharingServer]) -> None:
        """Run when the worker has started to accept connections."""

    def notify(self) -> None:
        """Give a sign of life. The event loop calls this, so that a loop that is blocked gives none."""
        super().notify()
        if self.alive:
            self.board.sign(self.age, sum(server.count for server in self._servers))
        if self.cfg.timeout:
            # The master ends a worker that hangs. If the master has ended too, the kernel does it.
            signal.setitimer(signal.ITIMER_REAL, self.cfg.timeout + 2 * _BEAT + 1)

    def _beat(self, awaited: list[Any] | None = None) -> None:
        self.notify()
        if awaited:
            gevent.joinall(awaited, timeout=_BEAT)
        else:
            self._wake.wait(_BEAT)

    def _stop(self, at_once: bool = False) -> None:
        self.alive = False
        self._at_once = self._at_once or at_once
        self._wake.set()

    def _reopen_logs(self) -> None:
        self.log.reopen_files()
        logs.adopt()

    def _orphaned(self) -> bool:
        if os.getppid() == self.ppid:
            return False
        if not self._at_once:
            self.log.error("worker %d ends: its master has ended", self.pid)
            self._at_once = True
        return True

    def _access_log(self) -> AnswerLog | None:
        self.log.now = _now  # gunicorn's own uses the application's locale for months
        # Not only a file turns it on: syslog, a logging configuration and statsd, which counts by it, do too.
        wanted = getattr(self.log, "access_log_enabled", self.cfg.accesslog) or self.cfg.statsd_host
        noted = _GunicornLog(self.log) if wanted else None
        return noted if self.max_requests == sys.maxsize else _Counter(self, noted)


def _now() -> str:
    """The local time, as `%(t)s` in gunicorn's access log."""
    at = time.localtime()
    return f"[{common_time(at, time.strftime('%z', at))}]"


class _GunicornLog:
    """Writes each answer to gunicorn's access log, in the format of its settings."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def write(self, answered: Answered) -> None:
        head = answered.head
        path, _, query = head.target.partition("?")
        environ = {
            "REMOTE_ADDR": host_of(answered.address),
            "REMOTE_USER": answered.caller or "-",
            "REQUEST_METHOD": head.verb,
            "RAW_URI": head.target,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": "HTTP/" + ".".join(map(str, head.version)),
            "HTTP_REFERER": head.get("referer") or "-",
            "HTTP_USER_AGENT": head.get("user-agent") or "-",
            "HTTP_AUTHORIZATION": head.get("authorization") or "",
            "gjrpc.method": answered.method or "-",
        }
        answer = _Answer(str(answered.status), answered.size)
        self._log.access(answer, head.headers, environ, timedelta(seconds=answered.seconds))


class _Answer:
    """An answer, with the attributes that gunicorn's access log reads."""

    headers: tuple[()] = ()

    def __init__(self, status: str, sent: int) -> None:
        self.status = status
        self.sent = sent


class _Counter:
    """Stops a worker gracefully after `max_requests` answers."""

    def __init__(self, worker: Worker, then: AnswerLog | None) -> None:
        self._worker = worker
        self._then = then

    def write(self, answered: Answered) -> None:
        if self._then is not None:
            self._then.write(answered)
        self._worker.nr += 1
        if self._worker.nr == self._worker.max_requests:
            self._worker.log.info("worker %d ends after %d answers (max_requests)", self._worker.pid, self._worker.nr)
            self._worker._stop()


def _limits(cfg: Any) -> Limits:
    """Return the limits of one message from gunicorn's settings; 0 means what gunicorn's documentation says."""
    default = Limits()
    line = min(cfg.limit_request_line, _LONGEST_LINE) or _UNLIMITED_LINE
    fields = cfg.limit_request_fields if 0 < cfg.limit_request_fields <= _MOST_FIELDS else _MOST_FIELDS
    return replace(default, target=line, head=default.head + line, headers=fields, keep_alive=cfg.keepalive > 0)


def _proxies(allowed: Iterable[str]) -> Proxies:
    """The proxies that gunicorn trusts to report the scheme: its `forwarded_allow_ips`, and all peers on a Unix socket."""
    everywhere = ("0.0.0.0/0", "::/0")
    return Proxies([LOCAL, *(name for each in allowed for name in (everywhere if each == "*" else (each,)) if name)])


def _within(seconds: float) -> float:
    """Seconds a little before the master kills the worker: the rest is for answering the calls that have not ended."""
    return max(seconds - 1, seconds / 2)
