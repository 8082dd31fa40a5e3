"""The refusals of requests, each with its HTTP status and code."""


class ApiError(Exception):
    """A request is refused; the reply has this status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> ApiError:
    """Return the refusal of a value that is not allowed (400)."""
    return ApiError(400, "VALIDATION_FAILED", message)


def unreadable(message: str) -> ApiError:
    """Return the refusal of a request that the server cannot read (400)."""
    return ApiError(400, "INVALID_INPUT", message)


def unauthorized(message: str, code: str = "UNAUTHORIZED") -> ApiError:
    """Return the refusal of a request without a valid session or password (401)."""
    return ApiError(401, code, message)


def forbidden(message: str) -> ApiError:
    """Return the refusal of a request that the caller's role or account does not allow (403)."""
    return ApiError(403, "FORBIDDEN", message)


def conflict(message: str, code: str = "CONFLICT") -> ApiError:
    """Return the refusal of a request that conflicts with data that exists (409)."""
    return ApiError(409, code, message)


def task_not_found() -> ApiError:
    """Return the refusal for a task that is missing, of another user or in a wrong state (404)."""
    return ApiError(404, "TASK_NOT_FOUND", "no such task, or not in a state that allows this")


def user_not_found() -> ApiError:
    """Return the refusal for a user that is missing or that the caller may not see (404)."""
    return ApiError(404, "USER_NOT_FOUND", "no such user")
