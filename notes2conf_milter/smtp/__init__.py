"""The SMTP door and the client side that hands mail on."""
