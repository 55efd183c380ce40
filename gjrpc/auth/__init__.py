"""Authentication and authorization: credentials, rights, allowed hosts, web pages' origins."""
