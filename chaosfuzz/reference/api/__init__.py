"""The HTTP API: its operations, the reading of requests, and the OpenAPI document."""
