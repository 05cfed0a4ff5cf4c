// See parallel.h.
#include "lab/parallel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 64 };

struct pool {
    pid_t pids[WORKERS_MAX];
    uint32_t cases[WORKERS_MAX];
    uint32_t workers, busy;
    struct cell *cells;                 // shared with the children
};

static void start(struct pool *p, uint32_t i, uint32_t seconds, void (*work)(void *ctx, uint32_t i, struct cell *out), void *ctx)
{
    uint32_t at = 0;
    while (p->pids[at] != 0)
        at++;
    (void)fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit cpu = {seconds, seconds + 1}, no_core = {0, 0};
        if (seconds != 0)
            (void)setrlimit(RLIMIT_CPU, &cpu);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        work(ctx, i, &p->cells[i]);
        _exit(0);
    }
    if (pid < 0) {
        (void)snprintf(p->cells[i].why, CELL_WHY_MAX, "cannot start a process: %s", strerror(errno));
        return;
    }
    p->pids[at] = pid;
    p->cases[at] = i;
    p->busy++;
}

static void end_one(struct pool *p)
{
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    uint32_t at = 0;
    while (at < p->workers && p->pids[at] != pid)
        at++;
    if (pid <= 0 || at == p->workers)
        return;
    struct cell *c = &p->cells[p->cases[at]];
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        (void)snprintf(c->why, CELL_WHY_MAX, "takes too long");
    else if (WIFSIGNALED(status))
        (void)snprintf(c->why, CELL_WHY_MAX, "the process died: %s", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        (void)snprintf(c->why, CELL_WHY_MAX, "the process ended with status %d", WEXITSTATUS(status));
    p->pids[at] = 0;
    p->busy--;
}

enum err parallel_cells(uint32_t n, uint32_t seconds, void (*work)(void *ctx, uint32_t i, struct cell *out), void *ctx, struct cell *out)
{
    const size_t bytes = (size_t)(n + 1) * sizeof *out;
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return ERR_NOMEM;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct pool p = {.workers = cores < 1 ? 1 : u32_min((uint32_t)cores, WORKERS_MAX), .cells = shared};
    for (uint32_t i = 0; i < n; i++) {
        if (p.busy == p.workers)
            end_one(&p);
        start(&p, i, seconds, work, ctx);
    }
    while (p.busy > 0)
        end_one(&p);
    memcpy(out, shared, (size_t)n * sizeof *out);
    (void)munmap(shared, bytes);
    return ERR_OK;
}
