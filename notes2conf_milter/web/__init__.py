"""The waiting room: pages behind join and start links."""
