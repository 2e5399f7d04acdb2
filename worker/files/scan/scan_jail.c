/*
 * scan_jail.c: what the scanner role may not do any more once it scans.
 *
 * libclamav takes apart what strangers have sent, in dozens of formats.  Who
 * finds a hole there is in a process that has neither Redis nor the store, and
 * with this filter he gets no further than to its verdicts and to files:
 *
 *   network                  none, nor who listens on this machine: Redis on
 *                            its socket, for one
 *   programs, processes      none can be started, read, written or signalled
 *   the kernel's odd corners closed
 *
 * Files stay: libclamav unpacks, and reads its signatures anew.
 */

#include "worker/files/jail/jail.h"
#include "worker/files/scan/scan.h"

#ifdef __SANITIZE_ADDRESS__
#define SCAN_RULES  (JAIL_SOCKETS | JAIL_STRANGERS)
#else
#define SCAN_RULES  (JAIL_SOCKETS | JAIL_STRANGERS | JAIL_PROCESSES)
#endif


int
scan_jail(char *err, size_t size)
{
    static const char *const  none[] = { NULL };
    static const jail_t       jail = { none, NULL, SCAN_RULES };

    return jail_enter(&jail, err, size);
}
