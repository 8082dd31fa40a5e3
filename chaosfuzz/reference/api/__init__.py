"""The HTTP API: what it offers, how requests are read, and the document that describes it."""
