// Hashing on all cores against the plain way, with files and pads across pieces.
#include "test.h"

#include <unistd.h>

#include "app/hashing.h"

enum { PIECE = 32768, LEAF = 16384, PIECES_MAX = 64 };

static char dir[64];
static uint8_t content[PIECES_MAX * PIECE];

static int make_dir(void **state)
{
    UNUSED_STATE(state);
    snprintf(dir, sizeof dir, "/tmp/kith-test-XXXXXX");
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)(i * 2654435761u >> 13);
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    UNUSED_STATE(state);
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void write_file(const char *name, const uint8_t *bytes, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static enum err run(const struct hashing_config *cfg, uint32_t *file, uint64_t *bytes)
{
    struct hashing *h = NULL;
    assert_int_equal(hashing_start(&h, cfg), ERR_OK);
    while (!hashing_wait(h, 1000))
        continue;
    *bytes = hashing_bytes(h);
    const enum err e = hashing_failure(h, file);
    hashing_free(h);
    return e;
}

// Without this a torrent of many files would have wrong pieces where one file ends and the next begins.
static void v1_pieces_run_across_files(void **state)
{
    UNUSED_STATE(state);
    const size_t lens[] = {1, 0, PIECE - 1, 3 * PIECE + 17, 5, 0};
    struct hashing_file files[6];
    static char names[6][2];
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        names[i][0] = (char)('a' + i);
        write_file(names[i], content + at, lens[i]);
        files[i] = (struct hashing_file){slice_str(names[i]), at, lens[i], false};
        at += lens[i];
    }
    const uint32_t pieces = (uint32_t)u64_div_up(at, PIECE);
    uint8_t sha1[8][SHA1_LEN], results[8] = {0}, want[SHA1_LEN];
    for (uint32_t threads = 1; threads <= 4; threads++) {
        const struct hashing_config cfg = {.root = slice_str(dir), .files = files, .files_n = 6, .piece_len = PIECE, .pieces_n = pieces,
            .threads = threads, .sha1 = sha1, .results = results};
        uint32_t file = 0;
        uint64_t bytes = 0;
        assert_int_equal(run(&cfg, &file, &bytes), ERR_OK);
        assert_int_equal(bytes, at);
        for (uint32_t i = 0; i < pieces; i++) {
            sha1_of(slice_sub(slice_of(content, at), (size_t)i * PIECE, PIECE), want);
            assert_memory_equal(sha1[i], want, SHA1_LEN);
            assert_int_equal(results[i], HASHING_DONE);
        }
    }
}

// BEP 52: pads count for v1 and not for v2; a file of one piece has a tree as wide as it needs.
static void hybrid_pieces_have_both(void **state)
{
    UNUSED_STATE(state);
    write_file("one", content, 5 * LEAF + 3);       // three pieces, the last with two leaves
    write_file("two", content, LEAF + 1);           // one piece, two leaves
    write_file("six", content, 7);                  // one leaf
    const struct hashing_file files[] = {
        {SLICE_LIT("one"), 0, 5 * LEAF + 3, false}, {{0}, 5 * LEAF + 3, LEAF - 3, true},
        {SLICE_LIT("two"), 3 * PIECE, LEAF + 1, false}, {{0}, 3 * PIECE + LEAF + 1, LEAF - 1, true}, {SLICE_LIT("six"), 4 * PIECE, 7, false},
    };
    uint8_t sha1[5][SHA1_LEN], sha256[5][SHA256_LEN], want[SHA256_LEN], leaf[2][SHA256_LEN];
    const struct hashing_config cfg = {.root = slice_str(dir), .files = files, .files_n = 5, .piece_len = PIECE, .pieces_n = 5,
        .sha1 = sha1, .sha256 = sha256};
    uint32_t file = 0;
    uint64_t bytes = 0;
    assert_int_equal(run(&cfg, &file, &bytes), ERR_OK);
    assert_int_equal(bytes, 6 * LEAF + 11);
    static uint8_t padded[PIECE];
    memcpy(padded, content + 4 * LEAF, LEAF + 3);
    sha1_of(slice_of(padded, PIECE), want);
    assert_memory_equal(sha1[2], want, SHA1_LEN);
    sha1_of(slice_of(content, 7), want);
    assert_memory_equal(sha1[4], want, SHA1_LEN);
    sha256_of(slice_of(content + 4 * LEAF, LEAF), leaf[0]);
    sha256_of(slice_of(content + 5 * LEAF, 3), leaf[1]);
    sha256_pair(leaf[0], leaf[1], want);
    assert_memory_equal(sha256[2], want, SHA256_LEN);
    sha256_of(slice_of(content, LEAF), leaf[0]);
    sha256_of(slice_of(content + LEAF, 1), leaf[1]);
    sha256_pair(leaf[0], leaf[1], want);
    assert_memory_equal(sha256[3], want, SHA256_LEN);
    sha256_of(slice_of(content, 7), want);
    assert_memory_equal(sha256[4], want, SHA256_LEN);
}

// Without this one missing file would hide what else is wrong, or a short one count as whole.
static void missing_and_short_files_spoil_their_pieces(void **state)
{
    UNUSED_STATE(state);
    write_file("good", content, 2 * PIECE);
    write_file("short", content, PIECE);
    const struct hashing_file files[] = {
        {SLICE_LIT("good"), 0, 2 * PIECE, false}, {SLICE_LIT("gone"), 2 * PIECE, PIECE / 2, false},
        {SLICE_LIT("short"), 2 * PIECE + PIECE / 2, 2 * PIECE, false},
    };
    uint8_t sha1[5][SHA1_LEN], results[5] = {0};
    struct hashing_config cfg = {.root = slice_str(dir), .files = files, .files_n = 3, .piece_len = PIECE, .pieces_n = 5, .keep_going = true,
        .sha1 = sha1, .results = results};
    uint32_t file = 9;
    uint64_t bytes = 0;
    assert_int_equal(run(&cfg, &file, &bytes), ERR_NOT_FOUND);
    assert_int_equal(file, 1);
    const uint8_t want[] = {HASHING_DONE, HASHING_DONE, HASHING_FAILED, HASHING_FAILED, HASHING_FAILED};
    assert_memory_equal(results, want, sizeof want);
    cfg.keep_going = false;
    assert_int_equal(run(&cfg, &file, &bytes), ERR_NOT_FOUND);
}

// Without this a link out of the directory would be read.
static void links_are_not_followed(void **state)
{
    UNUSED_STATE(state);
    char path[96];
    snprintf(path, sizeof path, "%s/link", dir);
    write_file("target", content, PIECE);
    assert_int_equal(symlink("target", path), 0);
    const struct hashing_file files[] = {{SLICE_LIT("link"), 0, PIECE, false}};
    uint8_t sha1[1][SHA1_LEN];
    const struct hashing_config cfg = {.root = slice_str(dir), .files = files, .files_n = 1, .piece_len = PIECE, .pieces_n = 1, .sha1 = sha1};
    uint32_t file = 9;
    uint64_t bytes = 0;
    assert_int_equal(run(&cfg, &file, &bytes), ERR_LINK);
    assert_int_equal(file, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(v1_pieces_run_across_files, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(hybrid_pieces_have_both, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(missing_and_short_files_spoil_their_pieces, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(links_are_not_followed, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
