"""The command line: the options, the target to serve, and the parts that they configure."""
