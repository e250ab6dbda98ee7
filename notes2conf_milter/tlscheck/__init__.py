"""A receiver test: what a stranger's mail server sees of a domain's MX hosts, judged (docs/decisions/0011-tls-check.md)."""
