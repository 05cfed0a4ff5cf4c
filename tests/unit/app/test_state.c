// The state database: kept, shared by processes, begun anew when damaged; and files that appear all at once.
#include "test.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/fileio.h"
#include "app/state.h"

static char dir[64], path[128], why[STATE_WHY_MAX];

static int make_dir(void **state)
{
    UNUSED_STATE(state);
    snprintf(dir, sizeof dir, "/tmp/kith-test-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/state.db", dir);
    return 0;
}

static int remove_dir(void **state)
{
    UNUSED_STATE(state);
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static struct state *open_here(void)
{
    struct state *s = NULL;
    assert_int_equal(state_open(&s, dir, why), ERR_OK);
    return s;
}

static void assert_blob(struct state *s, const char *key, const char *want)
{
    struct buf b = {0};
    assert_int_equal(state_load(s, slice_str(key), &b), ERR_OK);
    assert_true(slice_eq_str(buf_slice(&b), want));
    free(b.p);
}

// Without this a restart would check everything again.
static void blobs_are_kept_and_forgotten(void **state)
{
    UNUSED_STATE(state);
    struct state *s = open_here();
    struct buf b = {0};
    assert_int_equal(state_load(s, SLICE_LIT("k"), &b), ERR_NOT_FOUND);
    assert_int_equal(state_save(s, SLICE_LIT("k"), SLICE_LIT("one")), ERR_OK);
    assert_int_equal(state_save(s, SLICE_LIT("k"), SLICE_LIT("two")), ERR_OK);
    assert_int_equal(state_save(s, SLICE_LIT("other"), SLICE_LIT("three")), ERR_OK);
    state_close(s);
    s = open_here();
    assert_string_equal(why, "");
    assert_blob(s, "k", "two");
    assert_blob(s, "other", "three");
    assert_int_equal(state_save(s, SLICE_LIT("k"), (struct slice){0}), ERR_OK);
    assert_int_equal(state_load(s, SLICE_LIT("k"), &b), ERR_NOT_FOUND);
    state_close(s);
}

// Without this a second `kith get` would fail or lose its resume data.
static void processes_share_it(void **state)
{
    UNUSED_STATE(state);
    enum { CHILDREN = 4, WRITES = 25 };
    for (int c = 0; c < CHILDREN; c++) {
        if (fork() != 0)
            continue;
        struct state *s = NULL;
        bool good = state_open(&s, dir, why) == ERR_OK;
        for (int i = 0; i < WRITES && good; i++) {
            char key[32];
            snprintf(key, sizeof key, "%d-%d", c, i);
            good = state_save(s, slice_str(key), slice_str(key)) == ERR_OK;
        }
        _exit(good ? 0 : 1);
    }
    for (int c = 0; c < CHILDREN; c++) {
        int status = -1;
        wait(&status);
        assert_int_equal(status, 0);
    }
    struct state *s = open_here();
    assert_blob(s, "0-0", "0-0");
    assert_blob(s, "3-24", "3-24");
    state_close(s);
}

static void damage(const void *bytes, size_t n, long at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

// Without this one bad sector would make kith useless.
static void a_damaged_one_is_set_aside(void **state)
{
    UNUSED_STATE(state);
    static uint8_t rubbish[8192];
    memset(rubbish, 0xa5, sizeof rubbish);
    static const long places[] = {0, 4096, 100};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct state *s = open_here();
        assert_int_equal(state_save(s, SLICE_LIT("k"), slice_of(rubbish, sizeof rubbish)), ERR_OK);
        state_close(s);
        damage(rubbish, 4000, places[i]);
        s = open_here();
        assert_non_null(strstr(why, "damaged"));
        assert_int_equal(state_save(s, SLICE_LIT("k"), SLICE_LIT("again")), ERR_OK);
        assert_blob(s, "k", "again");
        state_close(s);
        s = open_here();
        assert_string_equal(why, "");
        state_close(s);
    }
}

static void an_impossible_place_is_an_error(void **state)
{
    UNUSED_STATE(state);
    struct state *s = NULL;
    assert_int_equal(state_open(&s, "/dev/null/x", why), ERR_NOT_DIR);
    assert_string_not_equal(why, "");
}

// Without this a crash could leave half a torrent file, or a slip overwrite one.
static void files_appear_whole(void **state)
{
    UNUSED_STATE(state);
    char file[96];
    snprintf(file, sizeof file, "%s/x.torrent", dir);
    struct buf b = {0};
    assert_int_equal(fileio_write(file, SLICE_LIT("first"), false), 0);
    assert_int_equal(fileio_write(file, SLICE_LIT("second"), false), EEXIST);
    assert_int_equal(fileio_read(file, 100, &b), 0);
    assert_true(slice_eq_str(buf_slice(&b), "first"));
    free(b.p);
    assert_int_equal(fileio_write(file, SLICE_LIT("second"), true), 0);
    assert_int_equal(fileio_read(file, 5, &b), EFBIG);
    assert_int_equal(fileio_read(file, 6, &b), 0);
    assert_true(slice_eq_str(buf_slice(&b), "second"));
    free(b.p);
    assert_int_equal(fileio_read(dir, 6, &b), EISDIR);
    assert_int_equal(fileio_write("/dev/null/x", SLICE_LIT("x"), true), ENOTDIR);
    char deep[128];
    snprintf(deep, sizeof deep, "%s/a/b/c/", dir);
    assert_int_equal(fileio_mkdirs(deep), 0);
    assert_int_equal(fileio_mkdirs(deep), 0);
    snprintf(deep, sizeof deep, "%s/x.torrent/a", dir);
    assert_int_equal(fileio_mkdirs(deep), ENOTDIR);
    // nothing temporary is left
    char command[128];
    snprintf(command, sizeof command, "ls %s | grep -q part", dir);
    assert_int_not_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blobs_are_kept_and_forgotten, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(processes_share_it, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_damaged_one_is_set_aside, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(an_impossible_place_is_an_error, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(files_appear_whole, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
