// Two SHA-1 at a time give what one at a time gives: published vectors, every length around the chunks, cuts, unequal lanes.
#include "crypto/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LEN = 1 << 16 };

static uint8_t data[2][LEN];

static void fill(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof data; i++) {
        x = x * 1664525 + 1013904223;
        ((uint8_t *)data)[i] = (uint8_t)(x >> 24);
    }
}

static void expect_two(bool fast, size_t a_n, size_t b_n, size_t cut)
{
    struct sha1 a, b;
    uint8_t want[2][SHA1_LEN], got[2][SHA1_LEN];
    sha1_of(slice_of(data[0], a_n), want[0]);
    sha1_of(slice_of(data[1], b_n), want[1]);
    sha1_init(&a);
    sha1_init(&b);
    const struct slice as = slice_of(data[0], a_n), bs = slice_of(data[1], b_n);
    const size_t a_cut = size_min(cut, a_n), b_cut = size_min(cut, b_n);
    sha1_update_two(fast, &a, slice_sub(as, 0, a_cut), &b, slice_sub(bs, 0, b_cut));
    sha1_update_two(fast, &a, slice_sub(as, a_cut, a_n - a_cut), &b, slice_sub(bs, b_cut, b_n - b_cut));
    sha1_final(&a, got[0]);
    sha1_final(&b, got[1]);
    assert_memory_equal(got, want, sizeof want);
}

// FIPS 180-4 examples: one chunk, two chunks, in both lanes.
static void published(void **state)
{
    (void)state;
    static const char *const TEXT[2] = {"abc", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"};
    static const uint8_t WANT[2][SHA1_LEN] = {
        {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d},
        {0x84, 0x98, 0x3e, 0x44, 0x1c, 0x3b, 0xd2, 0x6e, 0xba, 0xae, 0x4a, 0xa1, 0xf9, 0x51, 0x29, 0xe5, 0xe5, 0x46, 0x70, 0xf1}};
    for (int swap = 0; swap < 2; swap++) {
        struct sha1 h[2];
        uint8_t got[2][SHA1_LEN];
        sha1_init(&h[0]);
        sha1_init(&h[1]);
        sha1_update_two(sha1_two_fast(), &h[swap], slice_str(TEXT[swap]), &h[!swap], slice_str(TEXT[!swap]));
        sha1_final(&h[0], got[0]);
        sha1_final(&h[1], got[1]);
        assert_memory_equal(got, WANT, sizeof WANT);
    }
}

static void every_length(void **state)
{
    (void)state;
    const bool fast = sha1_two_fast();
    for (size_t n = 0; n <= 200; n++)
        for (size_t m = 0; m <= 200; m++)
            expect_two(fast, n, m, SIZE_MAX);
    for (size_t cut = 0; cut <= 260; cut++)     // a cut inside a chunk: the slow way from there on, and right
        expect_two(fast, 1000, 1200, cut);
    expect_two(fast, LEN, LEN, LEN / 2);
    expect_two(fast, LEN, LEN - 1, 16384);
    expect_two(false, LEN, LEN - 1, 16384);
}

// The bit count goes over 32 bits at 512 MiB.
static void long_streams(void **state)
{
    (void)state;
    struct sha1 a, b, one;
    uint8_t want[SHA1_LEN], got[2][SHA1_LEN];
    sha1_init(&a);
    sha1_init(&b);
    sha1_init(&one);
    const struct slice s = slice_of(data[0], LEN);
    for (int i = 0; i < 8200; i++) {
        sha1_update_two(sha1_two_fast(), &a, s, &b, s);
        sha1_update(&one, s);
    }
    sha1_final(&a, got[0]);
    sha1_final(&b, got[1]);
    sha1_final(&one, want);
    assert_memory_equal(got[0], want, SHA1_LEN);
    assert_memory_equal(got[1], want, SHA1_LEN);
}

int main(void)
{
    fill();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),
        cmocka_unit_test(every_length),
        cmocka_unit_test(long_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
