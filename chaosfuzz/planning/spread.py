"""Spreads integers evenly: Hypothesis likes small ones, weights want all alike."""

_MASK = 2**64 - 1


def spread(value: int) -> int:
    """Return a number that looks random, the same for the same value.

    The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    """
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)
