// Canonical peer priority against the published vectors. BEP 40.
#include "vectors.h"

#include "base/crc32c.h"
#include "codec/peer_priority.h"

static struct addr end_of(const json_t *c, const char *ip, const char *port)
{
    struct addr a;
    assert_int_equal(addr_parse(slice_str(json_text(c, ip)), 0, &a), ERR_OK);
    a.port = (uint16_t)json_integer_value(json_object_get(c, port));
    return a;
}

// Without this two clients would disagree about whom to keep. Two vectors are libtorrent's own mask: there the BEP's holds.
static void priorities_are_as_published(void **state)
{
    UNUSED_STATE(state);
    json_t *root = vector_json("bep40_peer_priority.json");
    uint32_t published = 0, deviating = 0;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "cases"), i, c) {
        const struct addr a = end_of(c, "a", "a_port"), b = end_of(c, "b", "b_port");
        const struct slice hashed = json_hex(json_object_get(c, "hashed_hex"));
        const uint32_t expect = (uint32_t)strtoul(json_text(c, "expect"), NULL, 16);
        assert_int_equal(peer_priority(&a, &b), crc32c(hashed));
        assert_int_equal(peer_priority(&b, &a), peer_priority(&a, &b));
        if (json_object_get(c, "libtorrent_deviation") == NULL)
            published += peer_priority(&a, &b) == expect;
        else
            deviating += peer_priority(&a, &b) != expect;
        free((void *)(uintptr_t)hashed.p);
    }
    assert_int_equal(published, 26);
    assert_int_equal(deviating, 2);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(priorities_are_as_published)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
