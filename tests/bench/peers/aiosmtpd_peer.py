"""A proxy filter as one writes it with aiosmtpd alone: take the message, hand it on, answer as the next hop did.

    aiosmtpd_peer.py pooled|fresh LISTEN_PORT NEXT_HOP_PORT

pooled keeps its connections to the next hop; fresh opens one for each message. Nothing is looked at.
"""

import asyncio
import sys

from aiosmtpd.smtp import SMTP

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Onward:
    def __init__(self, port: int, *, pooled: bool) -> None:
        self.port, self.pooled = port, pooled
        self.idle: list[Connection] = []

    async def connection(self) -> Connection:
        if self.idle:
            return self.idle.pop()
        made = await asyncio.open_connection("127.0.0.1", self.port)
        await reply(made)
        await ask(made, b"EHLO filter.example\r\n")
        return made

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        made = await self.connection()
        await ask(made, b"MAIL FROM:<" + envelope.mail_from.encode() + b">\r\n")
        for recipient in envelope.rcpt_tos:
            await ask(made, b"RCPT TO:<" + recipient.encode() + b">\r\n")
        await ask(made, b"DATA\r\n")
        content = (b"\r\n" + envelope.content).replace(b"\r\n.", b"\r\n..")[2:]
        answer = await ask(made, content + b".\r\n")
        if self.pooled:
            self.idle.append(made)
        else:
            await ask(made, b"QUIT\r\n")
            made[1].close()
        return answer.decode().rstrip()


async def ask(connection: Connection, octets: bytes) -> bytes:
    connection[1].write(octets)
    return await reply(connection)


async def reply(connection: Connection) -> bytes:
    while True:
        line = await connection[0].readline()
        if line[3:4] != b"-":
            return line


async def main(kind: str, listen: int, next_hop: int) -> None:
    onward = Onward(next_hop, pooled=kind == "pooled")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(onward, loop=loop), "127.0.0.1", listen, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
