// Numbered work of hosts: see task.h.
#include "sim/task.h"

struct task *task_new(struct world *w, const struct host *h, enum task_kind kind, uint32_t id, size_t size)
{
    ASSERT(size >= sizeof(struct task));
    struct task *t = mem_zalloc(w->env->mem, size);
    ASSERT(t != NULL);
    *t = (struct task){.kind = kind, .host = h->index, .life = h->life, .id = id, .size = size};
    t->index = slots_add(&w->tasks, t);
    return t;
}

void task_free(struct world *w, struct task *t)
{
    slots_remove(&w->tasks, t->index);
    mem_free(w->env->mem, t->bytes, t->n);
    mem_free(w->env->mem, t, t->size);
}

struct host *task_host(const struct world *w, const struct task *t)
{
    struct host *h = w->hosts[t->host];
    return h->up && h->life == t->life ? h : NULL;
}
