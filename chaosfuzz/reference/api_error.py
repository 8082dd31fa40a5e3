"""What a request can be refused for, each with its status and code."""


class ApiError(Exception):
    """A request that cannot be served, with the status and code that say why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> ApiError:
    """A value that is not allowed."""
    return ApiError(400, "VALIDATION_FAILED", message)


def unreadable(message: str) -> ApiError:
    """A request that is not what it should be at all."""
    return ApiError(400, "INVALID_INPUT", message)


def unauthorized(message: str, code: str = "UNAUTHORIZED") -> ApiError:
    """Nobody knows who asks."""
    return ApiError(401, code, message)


def forbidden(message: str) -> ApiError:
    """It is known who asks, and they may not."""
    return ApiError(403, "FORBIDDEN", message)


def conflict(message: str, code: str = "CONFLICT") -> ApiError:
    """What is asked for does not go with what is there."""
    return ApiError(409, code, message)


def task_not_found() -> ApiError:
    """No such task, none of theirs, or none in the state the request needs."""
    return ApiError(404, "TASK_NOT_FOUND", "no such task, or not in a state that allows this")


def user_not_found() -> ApiError:
    """No such user, or none that the caller may know of."""
    return ApiError(404, "USER_NOT_FOUND", "no such user")
