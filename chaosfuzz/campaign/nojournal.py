"""The journal of a measurement, which has nothing to replay."""


class NoJournal:
    """Takes nothing down (implements Journal)."""

    def write(self, kind: str, **fields: str | int | float | bool | None) -> None:
        """Do nothing."""
