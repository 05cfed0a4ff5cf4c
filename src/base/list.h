// An intrusive doubly linked list: O(1) everything, owns nothing.
#pragma once
#include "base/base.h"

// A head, or a link inside an element. An element's link is either in one list or alone (list_init).
struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }

static inline void list_insert_after(struct list *at, struct list *item)
{
    ASSERT(list_empty(item));
    item->prev = at;
    item->next = at->next;
    at->next->prev = item;
    at->next = item;
}

static inline void list_push_front(struct list *head, struct list *item) { list_insert_after(head, item); }
static inline void list_push_back(struct list *head, struct list *item) { list_insert_after(head->prev, item); }

// Harmless for an item that is in no list.
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#define LIST_FIRST(head, type, member) (list_empty(head) ? NULL : CONTAINER((head)->next, type, member))

// Walks in order; `it` may be removed in the body.
#define LIST_EACH(head, link, save) \
    for (struct list *link = (head)->next, *save = link->next; link != (head); link = save, save = link->next)
