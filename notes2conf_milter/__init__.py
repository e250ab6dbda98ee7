"""notes2conf-milter: a video conference in every calendar invitation, in the mail flow behind Postfix."""
