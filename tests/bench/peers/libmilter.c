/* The same with libmilter, and nothing asked for that is not needed. libmilter SOCKET (unix:PATH) */
#define _GNU_SOURCE
#include <libmilter/mfapi.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static sfsistat negotiate(SMFICTX *peer, unsigned long actions, unsigned long steps, unsigned long unused1, unsigned long unused2,
                          unsigned long *wanted, unsigned long *left_out, unsigned long *unused3, unsigned long *unused4) {
    (void)peer, (void)actions, (void)unused1, (void)unused2;
    *wanted = SMFIF_CHGBODY | SMFIF_CHGHDRS;
    *left_out = steps & (SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NOUNKNOWN | SMFIP_NODATA | SMFIP_NR_HDR | SMFIP_NR_MAIL |
                         SMFIP_NR_RCPT | SMFIP_NR_BODY | SMFIP_HDR_LEADSPC);
    *unused3 = *unused4 = 0;
    return SMFIS_CONTINUE;
}

static sfsistat sender(SMFICTX *peer, char **words) {
    (void)words;
    char *multipart = smfi_getpriv(peer);
    if (multipart == NULL)
        smfi_setpriv(peer, multipart = malloc(1));
    *multipart = 0;
    return SMFIS_NOREPLY;
}

static sfsistat recipient(SMFICTX *peer, char **words) {
    (void)peer, (void)words;
    return SMFIS_NOREPLY;
}

static sfsistat field(SMFICTX *peer, char *name, char *value) {
    char *multipart = smfi_getpriv(peer);
    if (!strcasecmp(name, "content-type") && strcasestr(value, "multipart/"))
        *multipart = 1;
    return SMFIS_NOREPLY;
}

static sfsistat end_of_header(SMFICTX *peer) {
    return *(char *)smfi_getpriv(peer) ? SMFIS_CONTINUE : SMFIS_ACCEPT;
}

static sfsistat body(SMFICTX *peer, unsigned char *octets, size_t count) {
    (void)peer, (void)octets, (void)count;
    return SMFIS_NOREPLY;
}

static sfsistat end_of_message(SMFICTX *peer) {
    (void)peer;
    return SMFIS_ACCEPT;
}

static sfsistat closed(SMFICTX *peer) {
    free(smfi_getpriv(peer));
    smfi_setpriv(peer, NULL);
    return SMFIS_CONTINUE;
}

int main(int count, char **words) {
    struct smfiDesc milter = {.xxfi_name = "noop",
                              .xxfi_version = SMFI_VERSION,
                              .xxfi_flags = SMFIF_CHGBODY | SMFIF_CHGHDRS,
                              .xxfi_envfrom = sender,
                              .xxfi_envrcpt = recipient,
                              .xxfi_header = field,
                              .xxfi_eoh = end_of_header,
                              .xxfi_body = body,
                              .xxfi_eom = end_of_message,
                              .xxfi_close = closed,
                              .xxfi_negotiate = negotiate};
    if (count != 2 || smfi_setconn(words[1]) != MI_SUCCESS)
        return 2;
    smfi_setbacklog(1024);
    return smfi_register(milter) == MI_SUCCESS ? smfi_main() : 1;
}
