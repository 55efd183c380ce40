"""A call: from a plain function to a method, from a method's name and arguments to a result or an error."""
