// See state.h.
#include "app/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/fileio.h"
#include "plat/oserr.h"

enum {
    BUSY_MS = 5000,                     // how long one process waits for another; transactions take a millisecond
    BUSY_STEP_MS = 20,
    SCHEMA = 1,
    KEY_MAX = 4096,
};

struct state {
    sqlite3 *db;
    pthread_mutex_t lock;
    char path[PATH_MAX];
};

static enum err err_of_sqlite(int e)
{
    switch (e & 0xff) {
    case SQLITE_OK: case SQLITE_DONE: case SQLITE_ROW: return ERR_OK;
    case SQLITE_NOMEM: return ERR_NOMEM;
    case SQLITE_FULL: return ERR_NOSPACE;
    case SQLITE_BUSY: case SQLITE_LOCKED: return ERR_AGAIN;
    case SQLITE_PERM: case SQLITE_READONLY: case SQLITE_CANTOPEN: case SQLITE_AUTH: return ERR_ACCESS;
    default: return ERR_IO;
    }
}

static bool is_damage(int e)
{
    return (e & 0xff) == SQLITE_CORRUPT || (e & 0xff) == SQLITE_NOTADB || (e & 0xff) == SQLITE_FORMAT;
}

static enum err default_dir(char out[PATH_MAX])
{
    const char *const base = getenv("XDG_STATE_HOME"), *const home = getenv("HOME");
    int n = -1;
    if (base != NULL && base[0] == '/')
        n = snprintf(out, PATH_MAX, "%s/kith", base);
    else if (home != NULL && home[0] != 0)
        n = snprintf(out, PATH_MAX, "%s/.local/state/kith", home);
    return n > 0 && n < PATH_MAX ? ERR_OK : ERR_NOT_FOUND;
}

static int version_of(sqlite3 *db, int *out)
{
    sqlite3_stmt *st = NULL;
    int e = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL);
    if (e == SQLITE_OK)
        e = sqlite3_step(st);
    if (e == SQLITE_ROW)
        *out = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return e == SQLITE_ROW ? SQLITE_OK : e;
}

// Reads through the whole file: it is small, and damage is found now and not in the middle of a download.
static int check_whole(sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    int e = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (e == SQLITE_OK)
        e = sqlite3_step(st);
    if (e == SQLITE_ROW) {
        const unsigned char *const said = sqlite3_column_text(st, 0);
        e = said != NULL && strcmp((const char *)said, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(st);
    return e;
}

// Opens and makes the tables. SQLite's result; on failure nothing stays open.
static int open_database(struct state *s)
{
    static const char setup[] =
        "PRAGMA journal_mode=WAL;"
        "PRAGMA synchronous=NORMAL;";
    static const char schema[] =
        "BEGIN IMMEDIATE;"
        "CREATE TABLE IF NOT EXISTS resume (key BLOB PRIMARY KEY, data BLOB NOT NULL, saved INTEGER NOT NULL) WITHOUT ROWID;"
        "PRAGMA user_version=1;"
        "COMMIT;";
    int version = 0;
    int e = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);
    if (e == SQLITE_OK) {
        sqlite3_extended_result_codes(s->db, 0);
        sqlite3_busy_timeout(s->db, BUSY_MS);
        e = sqlite3_exec(s->db, setup, NULL, NULL, NULL);
    }
    if (e == SQLITE_OK)
        e = version_of(s->db, &version);
    if (e == SQLITE_OK && version < SCHEMA)
        e = sqlite3_exec(s->db, schema, NULL, NULL, NULL);
    if (e == SQLITE_OK)
        e = check_whole(s->db);
    if (e == SQLITE_OK)
        e = sqlite3_exec(s->db, "SELECT key, data, saved FROM resume LIMIT 1", NULL, NULL, NULL);
    if (e == SQLITE_ERROR)
        e = SQLITE_CORRUPT;             // no such table, or another shape: not ours
    if (e != SQLITE_OK) {
        sqlite3_close(s->db);
        s->db = NULL;
    }
    return e;
}

// The switch to WAL does not wait for another process that makes the same switch: SQLite asks no busy handler there.
static int open_patiently(struct state *s)
{
    const nsec begun = app_now();
    for (;;) {
        const int e = open_database(s);
        if (e != SQLITE_BUSY || app_now() - begun >= BUSY_MS * NSEC_MS)
            return e;
        (void)nanosleep(&(struct timespec){.tv_nsec = BUSY_STEP_MS * 1000000L}, NULL);
    }
}

// Renames the damaged database, unless another process was faster. Returns SQLite's result of opening it anew.
static int set_aside(struct state *s, char why[STATE_WHY_MAX])
{
    char lock[PATH_MAX + 8], from[PATH_MAX + 8], to[PATH_MAX + 48];
    snprintf(lock, sizeof lock, "%s.lock", s->path);
    const int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)flock(fd, LOCK_EX);
    int e = open_database(s);
    if (is_damage(e)) {
        const long long now = (long long)time(NULL);
        static const char *const parts[] = {"", "-wal", "-shm"};
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            snprintf(from, sizeof from, "%s%s", s->path, parts[i]);
            snprintf(to, sizeof to, "%s.damaged-%lld%s", s->path, now, parts[i]);
            if (rename(from, to) != 0 && errno != ENOENT)
                (void)unlink(from);
        }
        e = open_database(s);
        if (e == SQLITE_OK)
            snprintf(why, STATE_WHY_MAX, "the state database was damaged; it is now %.300s.damaged-%lld and a new one was begun", s->path,
                now);
    }
    if (fd >= 0)
        close(fd);
    return e;
}

enum err state_open(struct state **out, const char *dir, char why[STATE_WHY_MAX])
{
    char own[PATH_MAX];
    why[0] = 0;
    if (dir == NULL && default_dir(own) != ERR_OK) {
        snprintf(why, STATE_WHY_MAX, "neither XDG_STATE_HOME nor HOME is set");
        return ERR_NOT_FOUND;
    }
    const char *const where = dir != NULL ? dir : own;
    const int made = fileio_mkdirs(where);
    if (made != 0) {
        snprintf(why, STATE_WHY_MAX, "cannot make %.300s: %s", where, strerror(made));
        return err_of_errno(made);
    }
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_NOMEM;
    const int n = snprintf(s->path, sizeof s->path, "%s/state.db", where);
    int e = n > 0 && (size_t)n < sizeof s->path ? open_patiently(s) : SQLITE_CANTOPEN;
    if (is_damage(e))
        e = set_aside(s, why);
    if (e != SQLITE_OK) {
        snprintf(why, STATE_WHY_MAX, "cannot open %.300s: %s", s->path, sqlite3_errstr(e));
        free(s);
        return err_of_sqlite(e);
    }
    pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return ERR_OK;
}

void state_close(struct state *s)
{
    if (s == NULL)
        return;
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int bind_bytes(sqlite3_stmt *st, int at, struct slice bytes)
{
    return sqlite3_bind_blob64(st, at, bytes.p, bytes.n, SQLITE_STATIC);
}

static enum err copy_column(sqlite3_stmt *st, struct buf *out)
{
    const int n = sqlite3_column_bytes(st, 0);
    const void *const p = sqlite3_column_blob(st, 0);
    if (n <= 0 || p == NULL || n > STATE_BLOB_MAX)
        return ERR_NOT_FOUND;
    struct buf b = {malloc((size_t)n), (size_t)n, (size_t)n};
    if (b.p == NULL)
        return ERR_NOMEM;
    memcpy(b.p, p, b.n);
    *out = b;
    return ERR_OK;
}

enum err state_load(struct state *s, struct slice key, struct buf *out)
{
    ASSERT(key.n <= KEY_MAX);
    sqlite3_stmt *st = NULL;
    pthread_mutex_lock(&s->lock);
    int e = sqlite3_prepare_v2(s->db, "SELECT data FROM resume WHERE key=?", -1, &st, NULL);
    if (e == SQLITE_OK)
        e = bind_bytes(st, 1, key);
    if (e == SQLITE_OK)
        e = sqlite3_step(st);
    const enum err result = e == SQLITE_ROW ? copy_column(st, out) : e == SQLITE_DONE ? ERR_NOT_FOUND : err_of_sqlite(e);
    sqlite3_finalize(st);
    pthread_mutex_unlock(&s->lock);
    return result;
}

static int write_row(struct state *s, struct slice key, struct slice blob)
{
    static const char put[] = "INSERT INTO resume (key, data, saved) VALUES (?1, ?2, ?3) "
                              "ON CONFLICT (key) DO UPDATE SET data=?2, saved=?3";
    static const char forget[] = "DELETE FROM resume WHERE key=?1";
    sqlite3_stmt *st = NULL;
    int e = sqlite3_prepare_v2(s->db, blob.n > 0 ? put : forget, -1, &st, NULL);
    if (e == SQLITE_OK)
        e = bind_bytes(st, 1, key);
    if (e == SQLITE_OK && blob.n > 0)
        e = bind_bytes(st, 2, blob);
    if (e == SQLITE_OK && blob.n > 0)
        e = sqlite3_bind_int64(st, 3, (sqlite3_int64)time(NULL));
    if (e == SQLITE_OK)
        e = sqlite3_step(st);
    const int closed = sqlite3_finalize(st);
    return e == SQLITE_DONE ? SQLITE_OK : e != SQLITE_OK ? e : closed;
}

enum err state_save(struct state *s, struct slice key, struct slice blob)
{
    ASSERT(key.n <= KEY_MAX);
    ASSERT(blob.n <= STATE_BLOB_MAX);
    pthread_mutex_lock(&s->lock);
    const int e = write_row(s, key, blob);
    pthread_mutex_unlock(&s->lock);
    return err_of_sqlite(e);
}
