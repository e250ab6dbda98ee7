"""DKIM beyond the message: key files, key records in DNS, and who signs. What a signature says is core.signing's."""
