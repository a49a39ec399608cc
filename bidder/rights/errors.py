"""What can be wrong at the start with what data deletion requests need.

Place: signing.py raises it; every process's start names it, and most of them never sign anything.
"""


class SigningError(Exception):
    """The keys cannot be used; `str()` says where and why."""
