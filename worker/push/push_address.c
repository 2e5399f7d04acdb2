/*
 * push_address.c: which addresses a webhook may have.
 *
 * Its URL is an operator's, but the name in it is resolved by others, and what
 * runs beside us (metadata services, databases, Redis) trusts our address.
 * The registries of special-purpose addresses (RFC 6890) are what is refused;
 * of IPv6 all but global unicast is.
 */

#include <netinet/in.h>
#include <string.h>

#include "worker/push/push_internal.h"

static const struct {
    uint32_t  net;
    unsigned  bits;
} address_v4[] = {
    { 0x00000000, 8 },              /* this network */
    { 0x0A000000, 8 },
    { 0x64400000, 10 },             /* shared: carriers */
    { 0x7F000000, 8 },
    { 0xA9FE0000, 16 },             /* link-local, metadata services */
    { 0xAC100000, 12 },
    { 0xC0000000, 24 },
    { 0xC0000200, 24 },             /* examples */
    { 0xC0586300, 24 },             /* relays to IPv6 */
    { 0xC0A80000, 16 },
    { 0xC6120000, 15 },             /* benchmarks */
    { 0xC6336400, 24 },
    { 0xCB007100, 24 },
    { 0xE0000000, 3 }               /* multicast, reserved, broadcast */
};


static int
address_v4_public(uint32_t a)
{
    size_t  i;

    for (i = 0; i < sizeof(address_v4) / sizeof(address_v4[0]); i++) {
        if ((a ^ address_v4[i].net) >> (32 - address_v4[i].bits) == 0) {
            return 0;
        }
    }

    return 1;
}


static uint32_t
address_u32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];
}


static int
address_v6_public(const uint8_t *p)
{
    static const uint8_t  mapped[12] = { [10] = 0xFF, [11] = 0xFF };
    static const uint8_t  nat64[12] = { 0x00, 0x64, 0xFF, 0x9B };

    /* IPv4 in IPv6, however it is written */
    if (memcmp(p, mapped, 12) == 0 || memcmp(p, nat64, 12) == 0) {
        return address_v4_public(address_u32(p + 12));
    }

    if (p[0] >> 5 != 1) {
        return 0;
    }

    if (p[0] == 0x20 && p[1] == 0x02) {
        return address_v4_public(address_u32(p + 2));
    }

    /* 2001::/23 (tunnels and the like), 2001:db8::/32 (examples), and the
     * larger block of examples, 3fff::/20 */
    return !(p[0] == 0x20 && p[1] == 0x01
             && ((p[2] & 0xFE) == 0 || (p[2] == 0x0D && p[3] == 0xB8)))
           && !(p[0] == 0x3F && p[1] == 0xFF && p[2] >> 4 == 0);
}


int
push_address_public(const struct sockaddr *sa)
{
    struct sockaddr_in   v4;
    struct sockaddr_in6  v6;

    switch (sa->sa_family) {

    case AF_INET:
        memcpy(&v4, sa, sizeof(v4));
        return address_v4_public(ntohl(v4.sin_addr.s_addr));

    case AF_INET6:
        memcpy(&v6, sa, sizeof(v6));
        return address_v6_public(v6.sin6_addr.s6_addr);
    }

    return 0;
}
