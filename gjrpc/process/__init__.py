"""The process that a server runs in: its threads, children, standard streams, log and systemd."""
