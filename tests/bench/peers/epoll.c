/* The floor: a milter that does what any must, in C on epoll, one thread. It accepts text at the end of the header and multiparts
 * at the end of the message. epoll SOCKET */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ROOM (1 << 18)
/* SMFIP_*: no connect, HELO, unknown, DATA; no reply to header, MAIL, RCPT, body; leading blanks kept. */
#define STEPS (0x1 | 0x2 | 0x100 | 0x200 | 0x80 | 0x4000 | 0x8000 | 0x80000 | 0x100000)

struct peer {
    size_t have;
    int multipart;
    char octets[ROOM];
};
static struct peer *peers[1 << 16];

static void say(int fd, const void *octets, size_t count) {
    if (write(fd, octets, count) < 0)
        perror("write");
}

static void verdict(int fd, char word) {
    char packet[5] = {0, 0, 0, 1, word};
    say(fd, packet, 5);
}

/* Returns 0 when the peer says QUIT. */
static int answer(int fd, struct peer *peer, char command, const char *payload) {
    switch (command) {
    case 'O': {
        uint32_t terms[3] = {htonl(6), htonl(0x13), htonl(STEPS)};
        char packet[17] = {0, 0, 0, 13, 'O'};
        memcpy(packet + 5, terms, sizeof terms);
        say(fd, packet, sizeof packet);
        return 1;
    }
    case 'L':
        if (!strcasecmp(payload, "content-type"))
            peer->multipart = strcasestr(payload + 13, "multipart/") != NULL;
        return 1;
    case 'N':
        verdict(fd, peer->multipart ? 'c' : 'a');
        return 1;
    case 'E':
        verdict(fd, 'a');
        peer->multipart = 0;
        return 1;
    default:
        return command != 'Q';
    }
}

static int heard(int fd, struct peer *peer) {
    ssize_t got = read(fd, peer->octets + peer->have, ROOM - peer->have);
    if (got <= 0)
        return 0;
    peer->have += (size_t)got;
    size_t at = 0;
    while (peer->have - at >= 5) {
        uint32_t length;
        memcpy(&length, peer->octets + at, 4);
        length = ntohl(length);
        if (peer->have - at < 4 + (size_t)length)
            break;
        if (!answer(fd, peer, peer->octets[at + 4], peer->octets + at + 5))
            return 0;
        at += 4 + length;
    }
    memmove(peer->octets, peer->octets + at, peer->have - at);
    peer->have -= at;
    return 1;
}

int main(int count, char **words) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (count != 2 || strlen(words[1]) >= sizeof address.sun_path)
        return 2;
    strcpy(address.sun_path, words[1]);
    unlink(words[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
    if (bind(listener, (void *)&address, sizeof address) || chmod(words[1], 0777) || listen(listener, 1024))
        return 1;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    struct epoll_event new = {.events = EPOLLIN, .data.fd = fd};
                    peers[fd] = calloc(1, sizeof **peers);
                    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &new);
                }
            } else if (!heard(fd, peers[fd])) {
                close(fd);
                free(peers[fd]);
            }
        }
    }
}
