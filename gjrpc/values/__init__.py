"""JSON values: decoding, conversion to annotated types, encoding, and their limits."""
