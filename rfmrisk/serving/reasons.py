"""What an answer says beside its numbers: the features that cost a customer most, in words."""

import msgspec

N_REASONS = 3


class Reason(msgspec.Struct, gc=False):
    """One feature that lowers a customer's score, in words, and the points that it costs."""

    feature: str
    reason: str
    points: float
