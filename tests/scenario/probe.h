// A world of toys that say nothing by themselves, and faults from lines of the scenario language: does a fault do what it says?
#pragma once
#include "lab.h"
#include "toy.h"

enum { PROBE_HOSTS_MAX = 64, PROBE_FILE_LEN = 1000000 };

struct probe {
    struct lab l;
    struct world *w;                    // the lab's
    uint32_t heard[PROBE_HOSTS_MAX];    // datagrams that the host got
    nsec heard_at[PROBE_HOSTS_MAX];     // the last one
    uint32_t ticks[PROBE_HOSTS_MAX];
};

// Hosts h0 … without any torrent; 10 ms of latency. They are up when it returns, at 1 ms.
void probe_open(struct probe *p, const char *name, uint32_t hosts, const struct host_config *cfg);
// Host h0 has a file of PROBE_FILE_LEN, the others copy it from him, in blocks one after the other.
void probe_copying(struct probe *p, const char *name, uint32_t hosts, const struct host_config *cfg);
// A fault of the world's hosts, now: "hole node=h0 to=h1 for=5s".
void probe_fault(struct probe *p, const char *line);
void probe_run(struct probe *p, nsec time);
// A datagram of n bytes, each of them `fill`.
void probe_send(struct probe *p, uint32_t from, uint32_t to, size_t n, uint8_t fill);
// Sends one, waits a second: it arrived.
bool probe_hears(struct probe *p, uint32_t from, uint32_t to);
// Bytes of the file that host i has copied.
uint64_t probe_copied(const struct probe *p, uint32_t i);
void probe_close(struct probe *p);
