"""Works on the bundled system that `chaosfuzz up` left running, and on other servers like it."""
