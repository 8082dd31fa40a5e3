"""Hashes of passwords by argon2, computed in threads."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# Parameters that OWASP recommends: 19 MiB, two passes, no parallelism.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Chosen by hand.
AT_ONCE = 2


class Passwords:
    """Hashes and verifies in threads, AT_ONCE at a time: each takes some 20 ms and 19 MiB."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._dummy: str | None = None

    async def hashed(self, password: str) -> str:
        """Return the hash of a password."""
        async with self._turns:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Return whether a password belongs to the stored hash; False without a hash."""
        if stored is None:
            # The duration must not tell whether the user exists, so a dummy hash is verified.
            self._dummy = self._dummy or await self.hashed("nobody")
        async with self._turns:
            verified = await asyncio.to_thread(_verify, stored or self._dummy or "", password)
        return verified and stored is not None


def _verify(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
