"""Documents that describe the methods to people and programs: OpenRPC and OpenAPI."""
