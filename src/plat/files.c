// The descriptor cache: see files.h.
#include "plat/files.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"
#include "base/rng.h"

enum { BUCKETS = 512 };

struct file {
    uint64_t key;
    int fd;
    bool writable, cached;
    uint32_t refs;
    struct file *chain;                 // in its bucket
    struct list age;                    // in files.age while cached: oldest first
};

struct files {
    pthread_mutex_t lock;
    struct file *buckets[BUCKETS];
    struct list age;
    uint32_t n, max;                    // cached
    uint32_t open_n;                    // all
};

int file_fd(const struct file *file) { return file->fd; }

static struct file **bucket_of(struct files *f, uint64_t key) { return &f->buckets[mix64(key) % BUCKETS]; }

enum err files_new(struct files **out, uint32_t max)
{
    ASSERT(max > 0);
    struct files *f = calloc(1, sizeof *f);
    if (f == NULL)
        return ERR_NOMEM;
    pthread_mutex_init(&f->lock, NULL);
    list_init(&f->age);
    f->max = max;
    *out = f;
    return ERR_OK;
}

// Takes it out of the table. Returns it if nobody uses it, to be closed without the lock.
static struct file *uncache(struct files *f, struct file *file)
{
    struct file **at = bucket_of(f, file->key);
    while (*at != file)
        at = &(*at)->chain;
    *at = file->chain;
    list_remove(&file->age);
    file->cached = false;
    f->n--;
    if (file->refs > 0)
        return NULL;
    f->open_n--;
    return file;
}

// Closing may wait for a network file system: never under the lock.
static void close_file(struct file *file)
{
    if (file == NULL)
        return;
    (void)close(file->fd);
    free(file);
}

static struct file *find_locked(struct files *f, uint64_t key, bool write)
{
    for (struct file *file = *bucket_of(f, key); file != NULL; file = file->chain) {
        if (file->key != key || (write && !file->writable))
            continue;
        file->refs++;
        list_remove(&file->age);
        list_push_back(&f->age, &file->age);
        return file;
    }
    return NULL;
}

struct file *files_find(struct files *f, uint64_t key, bool write)
{
    pthread_mutex_lock(&f->lock);
    struct file *file = find_locked(f, key, write);
    pthread_mutex_unlock(&f->lock);
    return file;
}

// Room for one more: the oldest that nobody uses goes.
static struct file *evict_locked(struct files *f)
{
    LIST_EACH(&f->age, link, save) {
        struct file *file = CONTAINER(link, struct file, age);
        if (file->refs == 0)
            return uncache(f, file);
    }
    return NULL;
}

static struct file *same_key_locked(struct files *f, uint64_t key)
{
    for (struct file *file = *bucket_of(f, key); file != NULL; file = file->chain) {
        if (file->key == key)
            return file;
    }
    return NULL;
}

enum err files_open(struct files *f, uint64_t key, const struct file_name *name, enum file_mode mode, struct file **out)
{
    struct file *found = files_find(f, key, mode != FILE_READ);
    if (found != NULL) {
        *out = found;
        return ERR_OK;
    }
    struct file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return ERR_NOMEM;
    const enum err e = file_open(name, mode, &file->fd);
    if (e != ERR_OK) {
        free(file);
        return e;
    }
    *file = (struct file){.key = key, .fd = file->fd, .writable = mode != FILE_READ, .refs = 1};
    list_init(&file->age);
    struct file *old = NULL, *evicted = NULL;
    pthread_mutex_lock(&f->lock);
    found = find_locked(f, key, file->writable);
    if (found == NULL) {
        old = same_key_locked(f, key);  // open for reading only: replaced
        if (old != NULL)
            old = uncache(f, old);
        if (f->n == f->max)
            evicted = evict_locked(f);
        f->open_n++;
        if (f->n < f->max) {
            struct file **at = bucket_of(f, key);
            file->chain = *at;
            *at = file;
            file->cached = true;
            list_push_back(&f->age, &file->age);
            f->n++;
        }
    }
    pthread_mutex_unlock(&f->lock);
    close_file(old);
    close_file(evicted);
    if (found != NULL)
        close_file(file);               // another worker was faster
    *out = found != NULL ? found : file;
    return ERR_OK;
}

void files_put(struct files *f, struct file *file)
{
    if (file == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    ASSERT(file->refs > 0);
    const bool last = --file->refs == 0 && !file->cached;
    if (last)
        f->open_n--;
    pthread_mutex_unlock(&f->lock);
    if (last)
        close_file(file);
}

void files_forget(struct files *f, uint64_t from, uint64_t to)
{
    struct file *closing = NULL;
    pthread_mutex_lock(&f->lock);
    LIST_EACH(&f->age, link, save) {
        struct file *file = CONTAINER(link, struct file, age);
        if (file->key < from || file->key > to || uncache(f, file) == NULL)
            continue;
        file->chain = closing;
        closing = file;
    }
    pthread_mutex_unlock(&f->lock);
    while (closing != NULL) {
        struct file *next = closing->chain;
        close_file(closing);
        closing = next;
    }
}

uint32_t files_open_n(struct files *f)
{
    pthread_mutex_lock(&f->lock);
    const uint32_t n = f->open_n;
    pthread_mutex_unlock(&f->lock);
    return n;
}

void files_free(struct files *f)
{
    if (f == NULL)
        return;
    files_forget(f, 0, UINT64_MAX);
    ASSERT(f->open_n == 0);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
