// Metalink documents (RFC 5854). Without it a hash of another kind is taken for one that tells, or the worst mirror for the best.
#include "test.h"

#include "app/metalink.h"

#define HEAD "<?xml version=\"1.0\"?><metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">"
#define SHA1_A "0123456789abcdef0123456789abcdef01234567"
#define SHA1_B "89abcdef0123456789abcdef0123456789abcdef"
#define SHA256_A SHA1_A "0123456789abcdef01234567"

static struct metalink parsed(const char *text)
{
    struct metalink m;
    char why[METALINK_WHY_MAX];
    assert_int_equal(metalink_parse(&m, slice_str(text), why), ERR_OK);
    return m;
}

// The example of section 1.1, with what we use of it and what we do not.
static void what_a_document_says(void **state)
{
    UNUSED_STATE(state);
    struct metalink m = parsed(HEAD
        "<published>2009-05-15T12:23:23Z</published>"
        "<file name=\"dir/example.ext\"><size> 14471447\n</size><identity>Example</identity>"
        "<hash type=\"md5\">00</hash><hash type=\"sha-1\">" SHA1_A "</hash><hash type=\"sha-256\"> " SHA256_A " </hash><hash type=\"sha-1\">" SHA1_B "</hash>"
        "<pieces length=\"262144\" type=\"sha-256\"><hash>" SHA256_A "</hash></pieces>"
        "<pieces length=\"7235724\" type=\"sha-1\"><hash>" SHA1_A "</hash><hash>" SHA1_B "</hash></pieces>"
        "<url>http://last.test/</url><url location=\"de\" priority=\"2\">ftp://b.test/x</url><url priority=\"1\">http://a.test/x&amp;y</url>"
        "<url priority=\"2\">http://c.test/x</url>"
        "<metaurl mediatype=\"torrent\" priority=\"2\">http://a.test/x.torrent</metaurl><metaurl mediatype=\"other\">http://no.test</metaurl></file>"
        "<file name=\"b\"><other><size>7</size></other></file></metalink>");
    assert_int_equal(m.files_n, 2);
    const struct metalink_file *f = &m.files[0];
    assert_string_equal(f->name, "dir/example.ext");
    assert_int_equal(f->size, 14471447);
    assert_int_equal(f->sum_n, SHA256_LEN);
    assert_memory_equal(f->sum, "\x01\x23\x45\x67", 4);
    assert_int_equal(f->pieces_n, 2);
    assert_int_equal(f->piece_len, 7235724);
    assert_memory_equal(f->pieces + SHA1_LEN, "\x89\xab\xcd\xef", 4);
    assert_int_equal(f->urls_n, 4);
    assert_string_equal(f->urls[0].text, "http://a.test/x&y");
    assert_string_equal(f->urls[1].text, "ftp://b.test/x");
    assert_string_equal(f->urls[2].text, "http://c.test/x");
    assert_string_equal(f->urls[3].text, "http://last.test/");
    assert_int_equal(f->torrents_n, 1);
    assert_int_equal(m.files[1].size, METALINK_SIZE_UNKNOWN);
    assert_int_equal(m.files[1].urls_n + m.files[1].pieces_n + m.files[1].sum_n, 0);
    metalink_free(&m);
}

static void of_many_addresses_the_best_are_kept(void **state)
{
    UNUSED_STATE(state);
    char text[16384];
    int n = snprintf(text, sizeof text, HEAD "<file name=\"x\">");
    for (int i = 100; i > 0; i--)
        n += snprintf(text + n, sizeof text - (size_t)n, "<url priority=\"%d\">http://%d.test/x</url>", i, i);
    (void)snprintf(text + n, sizeof text - (size_t)n, "</file></metalink>");
    struct metalink m = parsed(text);
    assert_int_equal(m.files[0].urls_n, METALINK_URLS_MAX);
    assert_string_equal(m.files[0].urls[0].text, "http://1.test/x");
    assert_string_equal(m.files[0].urls[METALINK_URLS_MAX - 1].text, "http://64.test/x");
    metalink_free(&m);
}

static void what_is_refused(void **state)
{
    UNUSED_STATE(state);
    static const struct { const char *text, *why; } CASES[] = {
        {"", "no element"}, {"<html/>", "not a Metalink"}, {HEAD "</metalink>", "names no file"}, {HEAD "<file name=\"x\">", "line 1: "},
        {"<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\"/>", "not a Metalink"},
        {HEAD "<file><size>1</size></file></metalink>", "without a name"}, {HEAD "<file name=\"x\"><size>-1</size></file></metalink>", "a size"},
        {HEAD "<file name=\"x\"><hash type=\"sha-256\">" SHA1_A "</hash></file></metalink>", "SHA-256"},
        {HEAD "<file name=\"x\"><pieces type=\"sha-1\" length=\"4\"><hash>12</hash></pieces></file></metalink>", "a piece's hash"},
        {"<!DOCTYPE a [<!ENTITY b \"c\">]><metalink xmlns=\"urn:ietf:params:xml:ns:metalink\"/>", "document type"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct metalink m;
        char why[METALINK_WHY_MAX];
        assert_int_equal(metalink_parse(&m, slice_str(CASES[i].text), why), ERR_SYNTAX);
        assert_non_null(strstr(why, CASES[i].why));
        assert_int_equal(m.files_n, 0);
    }
    assert_true(metalink_is_name("a/b.meta4"));
    assert_false(metalink_is_name(".meta4"));
}

// More than a limit is said to be that, not a lack of memory.
static void too_much_is_named(void **state)
{
    UNUSED_STATE(state);
    static char text[2 * METALINK_TEXT_MAX];
    struct metalink m;
    char why[METALINK_WHY_MAX];
    (void)snprintf(text, sizeof text, HEAD "<file name=\"%0*d\"><size>1</size></file></metalink>", METALINK_TEXT_MAX + 1, 7);
    assert_int_equal(metalink_parse(&m, slice_str(text), why), ERR_TOO_LONG);
    assert_string_equal(why, "line 1: a name is too long");
    (void)snprintf(text, sizeof text, HEAD "<file name=\"%0*d\"><size>1</size></file></metalink>", METALINK_TEXT_MAX, 7);
    assert_int_equal(metalink_parse(&m, slice_str(text), why), ERR_OK);
    metalink_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_document_says),
        cmocka_unit_test(of_many_addresses_the_best_are_kept),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(too_much_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
