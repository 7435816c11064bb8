"""How long to wait before the next try. Pure."""

JITTER = 0.2


def growing(count: int, first: float, factor: float, longest: float) -> float:
    """The pause before a try.

    Parameters:
        count: failures in a row so far; none needs no pause.
        first: seconds after the first failure.
        factor: what each further failure multiplies them with.
        longest: the cap, in seconds.
    """
    if count < 1:
        return 0.0
    return min(longest, first * factor ** min(count - 1, 100))


def jittered(seconds: float, fraction: float, share: float = JITTER) -> float:
    """The pause spread over ± a share of it, so that many bots do not try in step.

    Parameters:
        seconds: the pause.
        fraction: a random number of [0, 1).
        share: how far it may differ, as a part of the pause.
    """
    return seconds * (1.0 - share + 2.0 * share * fraction)
