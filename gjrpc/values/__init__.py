"""JSON values: what is accepted, how it becomes Python values, what can be sent."""
