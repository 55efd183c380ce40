"""The application: a request in, a response out. Its dialects read calls from requests; its pages document the methods."""
