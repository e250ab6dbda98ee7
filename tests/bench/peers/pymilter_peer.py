"""The same with pymilter: `tuned` asks for no more than is needed, `naive` has every callback. pymilter_peer.py MODE unix:PATH

Runs in the system's Python, where Debian's python3-milter is.
"""

import os
import sys

import Milter


class Naive(Milter.Base):
    def connect(self, name, family, address):
        return Milter.CONTINUE

    def hello(self, name):
        return Milter.CONTINUE

    def envfrom(self, sender, *words):
        return Milter.CONTINUE

    def envrcpt(self, recipient, *words):
        return Milter.CONTINUE

    def data(self):
        return Milter.CONTINUE

    def unknown(self, command):
        return Milter.CONTINUE

    def header(self, name, value):
        return Milter.CONTINUE

    def eoh(self):
        return Milter.CONTINUE

    def body(self, chunk):
        return Milter.CONTINUE

    def eom(self):
        return Milter.CONTINUE

    def close(self):
        return Milter.CONTINUE

    def abort(self):
        return Milter.CONTINUE


class Tuned(Milter.Base):
    def __init__(self):
        self.kind = ""
        self.chunks = []

    @Milter.noreply
    def envfrom(self, sender, *words):
        self.kind, self.chunks = "", []
        return Milter.CONTINUE

    @Milter.noreply
    def envrcpt(self, recipient, *words):
        return Milter.CONTINUE

    @Milter.noreply
    def header(self, name, value):
        if name.lower() == "content-type":
            self.kind = value.lower()
        return Milter.CONTINUE

    def eoh(self):
        whole = self.kind.startswith("multipart/") or "calendar" in self.kind
        return Milter.CONTINUE if whole else Milter.ACCEPT

    @Milter.noreply
    def body(self, chunk):
        self.chunks.append(chunk)
        return Milter.CONTINUE

    def eom(self):
        found = b"text/calendar" in b"".join(self.chunks).lower()
        return Milter.ACCEPT if not found else Milter.CONTINUE

    def close(self):
        return Milter.CONTINUE


Milter.factory = {"naive": Naive, "tuned": Tuned}[sys.argv[1]]
Milter.set_flags(Milter.CHGBODY | Milter.CHGHDRS)
os.umask(0)
Milter.runmilter("bench", sys.argv[2], 300)
