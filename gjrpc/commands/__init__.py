"""The command line: options, targets, and how options become parts."""
