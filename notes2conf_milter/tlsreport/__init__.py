"""`notes2conf-milter tls report`: what the log says of the encryption of mail, counted for an auditor."""
