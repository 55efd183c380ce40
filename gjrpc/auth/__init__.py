"""Who may call: credentials, rights, web pages' origins."""
