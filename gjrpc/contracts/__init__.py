"""What the methods are, in documents for people and machines: OpenRPC and OpenAPI."""
