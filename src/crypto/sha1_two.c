// Two SHA-1 at a time (FIPS 180-4) on the SHA instructions of x86: each of them waits for the one before, so that a single
// stream leaves the unit idle half of the time. Everything else is OpenSSL's.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hash.h"

#include <openssl/sha.h>

static SHA_CTX *ctx_of(struct sha1 *h) { return (SHA_CTX *)(void *)h->state; }

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>

enum { LANES = 2, CHUNK = 64 };

bool sha1_two_fast(void)
{
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSSE3) == 0 || (c & bit_SSE4_1) == 0)
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

// Four rounds of both lanes; `g` of 0 … 19, `f` the round function of FIPS 180-4 section 4.1.1. The message schedule for
// the group four later replaces the words that were used.
#define GROUP(g, f)                                                                                         \
    for (int i = 0; i < LANES; i++) {                                                                       \
        t[i] = (g) == 0 ? _mm_add_epi32(e[i], w[i][0]) : _mm_sha1nexte_epu32(e[i], w[i][(g) & 3]);          \
        e[i] = abcd[i];                                                                                     \
        abcd[i] = _mm_sha1rnds4_epu32(abcd[i], t[i], (f));                                                  \
        if ((g) < 16) {                                                                                     \
            const __m128i x = _mm_sha1msg1_epu32(w[i][(g) & 3], w[i][((g) + 1) & 3]);                       \
            w[i][(g) & 3] = _mm_sha1msg2_epu32(_mm_xor_si128(x, w[i][((g) + 2) & 3]), w[i][((g) + 3) & 3]); \
        }                                                                                                   \
    }

__attribute__((target("sha,ssse3,sse4.1"))) static void two_lanes(SHA_CTX *const h[LANES], const uint8_t *const data[LANES], size_t chunks)
{
    const __m128i big_endian = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    __m128i abcd[LANES], e[LANES], t[LANES], w[LANES][4];
    for (int i = 0; i < LANES; i++) {
        abcd[i] = _mm_set_epi32((int)h[i]->h0, (int)h[i]->h1, (int)h[i]->h2, (int)h[i]->h3);
        e[i] = _mm_set_epi32((int)h[i]->h4, 0, 0, 0);
    }
    for (size_t k = 0; k < chunks; k++) {
        __m128i abcd_before[LANES], e_before[LANES];
        for (int i = 0; i < LANES; i++) {
            abcd_before[i] = abcd[i];
            e_before[i] = e[i];
            for (int j = 0; j < 4; j++) {
                const __m128i *at = (const __m128i *)(const void *)(data[i] + k * CHUNK + (size_t)j * 16);
                w[i][j] = _mm_shuffle_epi8(_mm_loadu_si128(at), big_endian);
            }
        }
        GROUP(0, 0) GROUP(1, 0) GROUP(2, 0) GROUP(3, 0) GROUP(4, 0)
        GROUP(5, 1) GROUP(6, 1) GROUP(7, 1) GROUP(8, 1) GROUP(9, 1)
        GROUP(10, 2) GROUP(11, 2) GROUP(12, 2) GROUP(13, 2) GROUP(14, 2)
        GROUP(15, 3) GROUP(16, 3) GROUP(17, 3) GROUP(18, 3) GROUP(19, 3)
        for (int i = 0; i < LANES; i++) {
            e[i] = _mm_sha1nexte_epu32(e[i], e_before[i]);
            abcd[i] = _mm_add_epi32(abcd[i], abcd_before[i]);
        }
    }
    for (int i = 0; i < LANES; i++) {
        h[i]->h0 = (SHA_LONG)_mm_extract_epi32(abcd[i], 3);
        h[i]->h1 = (SHA_LONG)_mm_extract_epi32(abcd[i], 2);
        h[i]->h2 = (SHA_LONG)_mm_extract_epi32(abcd[i], 1);
        h[i]->h3 = (SHA_LONG)_mm_extract_epi32(abcd[i], 0);
        h[i]->h4 = (SHA_LONG)_mm_extract_epi32(e[i], 3);
    }
}

// OpenSSL counts bits, in two words.
static void count(SHA_CTX *h, size_t n)
{
    const uint64_t bits = ((uint64_t)h->Nh << 32 | h->Nl) + (uint64_t)n * 8;
    h->Nh = (SHA_LONG)(bits >> 32);
    h->Nl = (SHA_LONG)(bits & UINT32_MAX);
}

void sha1_update_two(bool fast, struct sha1 *a, struct slice a_data, struct sha1 *b, struct slice b_data)
{
    ASSERT(a != b);
    SHA_CTX *const h[LANES] = {ctx_of(a), ctx_of(b)};
    const size_t n = fast && h[0]->num == 0 && h[1]->num == 0 ? size_min(a_data.n, b_data.n) / CHUNK * CHUNK : 0;
    if (n != 0) {
        const uint8_t *const data[LANES] = {a_data.p, b_data.p};
        two_lanes(h, data, n / CHUNK);
        count(h[0], n);
        count(h[1], n);
    }
    sha1_update(a, slice_sub(a_data, n, a_data.n - n));
    sha1_update(b, slice_sub(b_data, n, b_data.n - n));
}

#else

bool sha1_two_fast(void) { return false; }

void sha1_update_two(bool fast, struct sha1 *a, struct slice a_data, struct sha1 *b, struct slice b_data)
{
    (void)fast;
    ASSERT(a != b);
    sha1_update(a, a_data);
    sha1_update(b, b_data);
}

#endif
