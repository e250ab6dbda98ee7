"""The milter door: wire format, session table, server."""
