"""One small module per conference service."""
