"""How the store fails.

Out: two exceptions. `StoreError` is *cannot now*: the caller answers 451 and the message is tried again.
`StoreSetupError` is *set up wrong*: the service refuses to start. Their texts are one line and hold no personal data:
file names, row ids, SQLite's error names.
"""


class StoreError(Exception):
    """Cannot now: locked beyond the timeout, disk full, a key file gone, a damaged row."""


class StoreSetupError(Exception):
    """Set up wrong: a key or database file that is missing, readable by too many, of an unknown version."""
