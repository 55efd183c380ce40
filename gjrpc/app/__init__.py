"""The application: requests in, responses out. It puts the methods on HTTP in each dialect, with pages beside them."""
