"""Hashes of passwords by argon2, made beside the event loop."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# The second set that OWASP recommends: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
AT_ONCE = 2


class Passwords:
    """Hashes and verifies in threads, a few at a time: each takes some 20 ms and 19 MiB."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._nobody: str | None = None

    async def hashed(self, password: str) -> str:
        """Return the hash to keep."""
        async with self._turns:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def matches(self, kept: str | None, password: str) -> bool:
        """Say whether a password belongs to the kept hash; without one it takes as long."""
        if kept is None:
            # How long the answer takes does not tell whether there is such a user.
            self._nobody = self._nobody or await self.hashed("nobody")
        async with self._turns:
            verified = await asyncio.to_thread(_verify, kept or self._nobody or "", password)
        return verified and kept is not None


def _verify(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
