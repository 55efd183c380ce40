"""The host methods, over psutil."""
