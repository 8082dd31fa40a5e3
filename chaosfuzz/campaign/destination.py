"""Which server a command speaks to."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.api import Api
from chaosfuzz.api.accounts import log_in
from chaosfuzz.campaign.standing import find_up
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.standing import State


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A server; `state` if it is the one that `up` left running."""

    base_url: str
    state: State | None = None

    def admin_token(self) -> str | None:
        """Return a token of the admin of `up`; None of another server's, or without an answer."""
        if self.state is None:
            return None
        with Api(self.base_url) as api, suppress(InfrastructureError):
            return log_in(api, self.state.admin_username, self.state.admin_password)[0]
        return None


def find_destination(
    *, url: str | None, port: int | None, out: Path, default_port: int
) -> Destination:
    """Return the server of a URL, or of a port, or the one that is up, or of the usual port."""
    state = find_up(out)
    if url is None and port is None and state is not None:
        return Destination(base_url=state.base_url, state=state)
    base_url = (url or f"http://127.0.0.1:{port or default_port}").rstrip("/")
    same = state is not None and state.base_url == base_url
    return Destination(base_url=base_url, state=state if same else None)
