// Hash requests and answers: what parses is written the same; no answer makes the check read too far.
#include "codec/hash_request.h"

#include "codec/peerwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rd r = rd_make(slice_of(data, n));
    const uint32_t height = rd_u8(&r) % (HASH_TREE_HEIGHT_MAX + 1);
    struct hash_request q, back;
    if (hash_request_parse(&q, slice_of(r.p, r.n)) != ERR_OK)
        return 0;
    uint8_t space[HASH_REQUEST_LEN + 5];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    hash_request_write(&w, MSG_HASH_REQUEST, &q);
    struct peer_msg m;
    ASSERT(w.ok);
    ASSERT(peer_msg_parse(&m, slice_sub(buf_slice(&b), 4, b.n)) == ERR_OK);
    ASSERT(hash_request_parse(&back, m.payload) == ERR_OK);
    ASSERT(hash_request_eq(&q, &back));
    if (height == 0 || !hash_request_is_legal(&q, height))
        return 0;
    ASSERT(q.length + hash_request_uncles(&q) <= HASHES_MAX);
    q.proofs = height - q.base - 1;
    (void)hash_answer_is_right(&q, height, slice_sub(slice_of(r.p, r.n), HASH_REQUEST_LEN, r.n));
    return 0;
}
