"""The master of several workers: gunicorn's arbiter, with generations of workers.

Owns when workers start and stop. A generation starts with one worker; once that one serves, the master starts the others, and
only then stops the old ones. So code or a certificate that can't be used never costs a worker that serves. gunicorn forks,
receives signals and looks for signs of life. This module knows no application; `worker` knows what a worker does.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import click
import gevent
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.sock import close_sockets

from gjrpc.errors import SettingsError
from gjrpc.process import outlets
from gjrpc.process.systemd import Notifier
from gjrpc.texts import printable
from gjrpc.workers.backoff import Backoff
from gjrpc.workers.worker import Worker

log = logging.getLogger("gjrpc.workers")

_TICK = 0.02  # seconds between two looks at a generation that is starting
_SOON = 0.1  # seconds in which buffered lines of the log are written if something reads them


class ReportingWorker(Worker):
    """A worker that reports its state to the master, in the file whose time also shows that it is alive."""

    LOADED = "loaded"
    """The application is loaded; the worker waits until the socket listens."""

    SERVES = "serves"

    RENEW = signal.SIGUSR2
    """Makes a worker that serves read its certificate again."""

    retired = False
    """Whether the master has told this worker to stop."""

    def run(self) -> None:
        """Report, wait for the socket, and serve. The master binds the socket once a first worker has loaded the application."""
        self.report(self.LOADED)
        while not all(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for listener in self.sockets):
            if self._orphaned():
                return
            self.notify()
            gevent.sleep(_TICK)
        super().run()

    def report(self, words: str) -> None:
        """Report a state, or why the worker can't serve; this replaces what was reported before."""
        os.ftruncate(self.tmp.fileno(), 0)
        os.pwrite(self.tmp.fileno(), words.encode(), 0)

    @property
    def reported(self) -> str:
        """What the worker reported last: nothing yet, `LOADED`, `SERVES`, or why it can't serve."""
        return os.pread(self.tmp.fileno(), 10_000, 0).decode(errors="replace")


class QuietLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Puts gunicorn's messages into the log of this process, those of level info as debug."""

    def setup(self, cfg: Any) -> None:
        """Leave handlers, format and level to the root logger."""
        self.cfg = cfg
        self.error_log.propagate = True

    def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log what the master itself reports more briefly."""
        self.debug(msg, *args, **kwargs)


class Master(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """Keeps the workers running.

    Args:
        app: gunicorn's application, which has the configuration.
        listener: the socket that all workers share.
        notifier: sends systemd its notifications.
        listen: binds the socket; called once a first worker has loaded the application, so that nothing is bound for one
            that can't be loaded.
    """

    def __init__(self, app: Any, listener: Any, notifier: Notifier, listen: Callable[[], None]) -> None:
        super().__init__(app)
        self.LISTENERS = [listener]
        self._notifier = notifier
        self._listen: Callable[[], None] | None = listen
        self._begin()

    def _begin(self) -> None:
        """Begin a generation; `manage_workers` starts its first worker."""
        self._border: int | None = self.worker_age  # workers with a higher age are the new ones; None: no generation is starting
        self._backoff = Backoff(self.num_workers)
        self._begun = self._served = False
        self._reason = ""

    # --- what signals mean ---

    def handle_hup(self) -> None:
        """Begin a new generation; one that is still starting is dropped."""
        log.info("SIGHUP: reloading with new workers")
        self._notifier.reloading()
        if self._border is not None and (new := self._new()) and len(new) < len(self._active()):
            for worker in new:  # a worker that does not serve yet may not handle a gentler signal
                self._retire(worker, signal.SIGTERM if worker.reported == ReportingWorker.SERVES else signal.SIGKILL)
        for worker in self._active():
            if worker.reported == ReportingWorker.SERVES:
                self.kill_worker(worker.pid, ReportingWorker.RENEW)
        self._begin()

    def handle_term(self) -> None:
        """Stop gracefully."""
        self._log_stop("SIGTERM")
        super().handle_term()

    def handle_int(self) -> None:
        """Stop gracefully."""
        self._log_stop("SIGINT")
        super().handle_term()

    handle_quit = handle_int

    def handle_usr2(self) -> None:
        """Do nothing: gunicorn would start a second master, but systemd and containers know only one."""
        log.warning("SIGUSR2 has no effect; send SIGHUP to reload the code")

    def _log_stop(self, name: str) -> None:
        log.info("%s: stopping; calls in flight have %g s to end", name, self.app.grace)

    def stop(self, graceful: bool = True) -> None:
        """Stop once the calls in flight have ended; a second signal, or the end of the grace period, stops at once."""
        self._notifier.stopping()
        close_sockets(self.LISTENERS, unlink=False)
        self.LISTENERS = []
        limit = time.monotonic() + self.cfg.graceful_timeout
        order = signal.SIGTERM if graceful else signal.SIGQUIT
        while self.WORKERS and time.monotonic() < limit:
            self.kill_workers(order)  # repeatedly: a worker that was just forked ignores the first ones
            for number in self.wait_for_signals(0.2):
                if number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT) and order == signal.SIGTERM:
                    log.warning("%s again: stopping at once", signal.Signals(number).name)
                    order, limit = signal.SIGQUIT, min(limit, time.monotonic() + 2)
                    break
            self.reap_workers()
            self.murder_workers()
        self.kill_workers(signal.SIGKILL)
        while self.WORKERS:
            self.wait_for_signals(0.1)
            self.reap_workers()

    # --- the workers ---

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Wait for signals, but no longer than until the next thing to do."""
        if self._border is not None:
            timeout = min(timeout, _TICK)
        if (left := self._backoff.left(time.monotonic())) > 0:
            timeout = min(timeout, left)
        if self._notifier.interval is not None:
            timeout = min(timeout, self._notifier.interval / 2)
        signals: list[int] = super().wait_for_signals(timeout)
        self._notifier.alive()
        return signals

    def manage_workers(self) -> None:
        """Start and stop workers, so that there are as many as there should be."""
        if self._border is not None:
            self._go_on(self._new())
            return
        active = self._active()
        self._spawn(self.num_workers - len(active))
        for worker in active[: max(0, len(active) - self.num_workers)]:
            self._retire(worker)

    def _go_on(self, new: list[ReportingWorker]) -> None:
        """Bring the generation that is starting one step further."""
        if not new and not self._begun:
            self._begun = True
            self._spawn(1)
        elif not new:
            self._give_up()
        elif self._listen is not None and any(worker.reported == ReportingWorker.LOADED for worker in new):
            self._bind(self._listen)
        elif all(worker.reported == ReportingWorker.SERVES for worker in new):
            if len(new) < self.num_workers:
                self._spawn(self.num_workers - len(new))
                return
            for worker in [worker for worker in self._active() if worker not in new]:
                self._retire(worker)
            log.info("reloaded: %d new workers serve" if self._border else "%d workers serve", len(new))
            self._border = None
            self._notifier.ready()

    def _give_up(self) -> None:
        """End the start of a generation whose workers have all ended."""
        if self._active():
            log.error("SIGHUP: the old workers stay in use: %s", printable(self._reason))
            self._notifier.ready()
        elif not self._served:
            self._fail(self._reason)
        self._border = None

    def _bind(self, listen: Callable[[], None]) -> None:
        try:
            listen()
        except SettingsError as error:
            self._fail(str(error))
        self._listen = None

    def _fail(self, reason: str) -> NoReturn:
        """Exit with an error: the server can't be started."""
        self.stop()
        click.echo(f"error: {printable(reason)}", err=True)
        sys.exit(2)

    def spawn_worker(self) -> Any:
        """Fork, if possible while no thread is writing the log."""
        outlets.settle(_SOON)
        return super().spawn_worker()

    def _active(self) -> list[ReportingWorker]:
        """The workers that have not been told to stop, oldest first."""
        return sorted((worker for worker in self.WORKERS.values() if not worker.retired), key=lambda worker: int(worker.age))

    def _new(self) -> list[ReportingWorker]:
        return [worker for worker in self._active() if self._border is not None and worker.age > self._border]

    def _spawn(self, count: int) -> None:
        if self._backoff.left(time.monotonic()) <= 0:
            for _ in range(count):
                self.spawn_worker()

    def _retire(self, worker: ReportingWorker, order: int = signal.SIGTERM) -> None:
        worker.retired = True
        self.kill_worker(worker.pid, order)

    def reap_workers(self) -> None:
        """Collect the children that have ended; as process 1, also orphans of other processes."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:  # no children are left
                return
            if pid == 0:
                return
            worker = self.WORKERS.pop(pid, None)
            if worker is not None:
                self._note_end(worker, os.waitstatus_to_exitcode(status))
                worker.tmp.close()
                self.cfg.child_exit(self, worker)

    def _note_end(self, worker: ReportingWorker, code: int) -> None:
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if worker.retired or not self.LISTENERS:
            log.debug("worker %d has ended: %s", worker.pid, how)
            return
        now, reported = time.monotonic(), worker.reported
        self._backoff.ended(now - worker.born, now)
        if reported == ReportingWorker.SERVES:
            self._served = True
            self._reason = f"the worker ended soon after its start: {how}"
            log.error("worker %d has ended unexpectedly: %s", worker.pid, how)
        else:
            silent = reported in ("", ReportingWorker.LOADED)
            self._reason = f"the worker ended before it served: {how}" if silent else reported
            if self._border is None:
                log.error("a worker can't be replaced: %s", printable(self._reason))
        if (left := self._backoff.left(now)) > 0:
            log.error("workers keep ending: the next one starts in %g s", left)
