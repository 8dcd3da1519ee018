/* Memory-mapped files that may be cut, or whose disk may fail, while they are read.
 *
 * The system answers such an access with SIGBUS, whose default is to end the process. Here the rest of the map becomes
 * zeros, the access is repeated, and whoever reads from a map asks afterwards whether it was lost. The same is done by
 * libwayland (src/wayland-shm.c) for memory that it shares with programs that it cannot trust. */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { MOST_MAPS = 4096 };

/* A map is free while its stop is 0. */
static struct {
    volatile uintptr_t start, stop;
    volatile sig_atomic_t lost;
} maps[MOST_MAPS];

static struct sigaction others;

static void replace_by_zeros(int signal_number, siginfo_t *info, void *context) {
    (void)context;
    const uintptr_t place = (uintptr_t)info->si_addr;
    for (int i = 0; i < MOST_MAPS; i++) {
        if (place < maps[i].start || place >= maps[i].stop) continue;
        /* Files are mapped from the start of a page on, and no page is smaller. */
        const uintptr_t page = place & ~(uintptr_t)4095;
        const int how = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS;
        maps[i].lost = 1;
        if (mmap((void *)page, maps[i].stop - page, PROT_READ, how, -1, 0) != MAP_FAILED) return;
    }
    /* Not ours: the access is repeated when this returns, and meets whoever answered before. */
    sigaction(signal_number, &others, NULL);
}

/* Guard a map; returns its number, or -1 if there are too many. To be called by one thread at a time. */
int guard_map(uintptr_t start, size_t length) {
    struct sigaction present;
    sigaction(SIGBUS, NULL, &present);
    if (!(present.sa_flags & SA_SIGINFO) || present.sa_sigaction != replace_by_zeros) {
        struct sigaction ours = {0};
        ours.sa_sigaction = replace_by_zeros;
        ours.sa_flags = SA_SIGINFO;
        sigemptyset(&ours.sa_mask);
        others = present;
        sigaction(SIGBUS, &ours, NULL);
    }
    for (int i = 0; i < MOST_MAPS; i++) {
        if (maps[i].stop) continue;
        maps[i].lost = 0;
        maps[i].start = start;
        maps[i].stop = start + length;
        return i;
    }
    return -1;
}

/* Whether part of a map became zeros. */
int is_lost(int map) { return maps[map].lost; }

/* Forget a map, before it is unmapped. */
void release_map(int map) { maps[map].stop = 0; }
