"""Checks: pure functions of the record, one claim each. A check that rejects a region names it; none drops anything.

Every check skips regions that are rejected already, so the order of registration matters: a region that is not finite
is rejected by the first and troubles none of the later ones.
"""
