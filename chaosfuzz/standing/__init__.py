"""Commands on the system of `chaosfuzz up`, and on other servers with the same API."""
