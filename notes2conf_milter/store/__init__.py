"""The one expiring table of meetings, sealed."""
