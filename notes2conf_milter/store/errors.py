"""How the store fails.

Out: three exceptions. `StoreError` is *cannot now*: the caller answers 451 and the message is tried again. Of its kind
`UnreadableError` is one that trying again will hardly mend: it concerns one meeting, and the caller need not wait for it.
`StoreSetupError` is *set up wrong*: the service refuses to start. Their texts are one line and hold no personal data:
file names, row ids, SQLite's error names.
"""


class StoreError(Exception):
    """Cannot now: locked beyond the timeout, disk full, a key file gone."""


class UnreadableError(StoreError):
    """What is kept of one meeting does not open: the row is damaged, or its keys are others."""


class StoreSetupError(Exception):
    """Set up wrong: a key or database file that is missing, readable by too many, of an unknown version."""
