"""The server's own process: threads, child processes, standard streams, log, systemd."""
