// Header lines of HTTP answers. What is misread here puts the wrong bytes into a file, or a file where it does not belong.
#include "test.h"

#include "codec/http_head.h"

static struct http_head parse(const char *lines)
{
    struct http_head h;
    http_head_parse(slice_str(lines), &h);
    return h;
}

static void fields(void **state)
{
    UNUSED_STATE(state);
    struct http_head h = parse("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100-199/1000\r\ncontent-length:100\r\n"
                               "ETag: \"a:b\"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nAccept-Ranges:  bytes \r\nRetry-After: 7\r\n"
                               "Content-Type: application/x-bittorrent\r\n\r\n");
    assert_true(h.has_range);
    assert_int_equal(h.first, 100);
    assert_int_equal(h.last, 199);
    assert_int_equal(h.total, 1000);
    assert_int_equal(h.len, 100);
    assert_true(slice_eq_str(h.etag, "\"a:b\""));
    assert_true(slice_eq_str(h.modified, "Wed, 21 Oct 2015 07:28:00 GMT"));
    assert_true(h.accepts_ranges);
    assert_int_equal(h.retry_after_s, 7);
    assert_true(slice_eq_str(h.type, "application/x-bittorrent"));
    assert_false(h.encoded);
    assert_true(parse("Content-Encoding: gzip\n").encoded);
    assert_int_equal(parse("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\n").retry_after_s, HTTP_RETRY_DATE_S);
    assert_int_equal(parse("Retry-After: 0\n").retry_after_s, 1);
    assert_int_equal(parse("").total, HTTP_LEN_UNKNOWN);
}

static void ranges(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *line;
        bool ok;
        uint64_t total;
    } rows[] = {
        {"Content-Range: bytes 0-0/1", true, 1}, {"Content-Range: bytes 5-9/*", true, HTTP_LEN_UNKNOWN},
        {"Content-Range: bytes */77", false, 77}, {"Content-Range: bytes 9-5/77", false, 77}, {"Content-Range: bytes 0-77/77", false, 77},
        {"Content-Range: bytes -5/77", false, 77}, {"Content-Range: items 0-1/2", false, HTTP_LEN_UNKNOWN},
        {"Content-Range: bytes 0-1/99999999999999999999", false, HTTP_LEN_UNKNOWN}, {"Content-Range: bytes 0-18446744073709551616/*", false, HTTP_LEN_UNKNOWN},
        {"Content-Range: bytes 0-1", false, HTTP_LEN_UNKNOWN}, {"Content-Range: 0-1/2", false, HTTP_LEN_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct http_head h = parse(rows[i].line);
        assert_int_equal(h.has_range, rows[i].ok);
        assert_int_equal(h.total, rows[i].total);
    }
}

// RFC 6266 §5 and what servers really send; a path or a way out of the folder leaves its last part.
static void names(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *from, *name;
    } rows[] = {
        {"Attachment; filename=example.html", "example.html"}, {"INLINE; FILENAME= \"an example.html\"", "an example.html"},
        {"attachment; filename*= UTF-8''%e2%82%ac%20rates", "\xe2\x82\xac rates"},
        {"attachment; filename=\"EURO rates\"; filename*=utf-8'en'%e2%82%ac%20rates", "\xe2\x82\xac rates"},
        {"attachment; filename=\"a;b=c.txt\"; size=3", "a;b=c.txt"}, {"attachment; filename=\"../../etc/passwd\"", "passwd"},
        {"attachment; filename=\"c:\\\\evil.exe\"", "evil.exe"}, {"attachment; filename*=UTF-8''..%2f..%2fx", "x"},
        {"attachment; filename=\"..\"", NULL}, {"attachment; filename=\"\"", NULL}, {"attachment", NULL}, {"", NULL},
        {"attachment; filename*=UTF-8''%zz; filename=ok", "ok"}, {"attachment; filename=\"half", "half"}, {"attachment; filename=\"a:b\"", "a_b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t space[512];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        const bool ok = http_disposition_name(slice_str(rows[i].from), &w);
        if (ok != (rows[i].name != NULL) || (ok && !slice_eq_str(buf_slice(&b), rows[i].name)))
            fail_msg("%s gives %.*s", rows[i].from, (int)b.n, (const char *)space);
    }
    static const struct {
        const char *path, *name;
    } urls[] = {{"/pub/a%20b.iso?x=1/2", "a b.iso"}, {"/", NULL}, {"", NULL}, {"/x/%2e%2e", NULL}, {"/x/%2fetc", "etc"}, {"/a/b", "b"}};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        uint8_t space[512];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        const bool ok = http_url_name(slice_str(urls[i].path), &w);
        if (ok != (urls[i].name != NULL) || (ok && !slice_eq_str(buf_slice(&b), urls[i].name)))
            fail_msg("%s gives %.*s", urls[i].path, (int)b.n, (const char *)space);
    }
}

// Cut anywhere, it says less, never something else.
static void cut(void **state)
{
    UNUSED_STATE(state);
    static const char all[] = "HTTP/1.1 206 x\r\nContent-Range: bytes 100-199/1000\r\nRetry-After: 7\r\nContent-Disposition: a; filename*=UTF-8''b%20c\r\n";
    for (size_t n = 0; n < sizeof all; n++) {
        uint8_t *copy = malloc(n + 1), space[64];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        struct http_head h;
        memcpy(copy, all, n);
        http_head_parse(slice_of(copy, n), &h);
        if (h.has_range)
            assert_int_equal(h.first, 100);
        (void)!http_disposition_name(h.disposition, &w);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fields), cmocka_unit_test(ranges), cmocka_unit_test(names), cmocka_unit_test(cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
