"""The pure core: no I/O, no clock, no randomness; `now` and tokens are arguments."""
