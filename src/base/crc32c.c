// Bit by bit: it is only ever fed four or eight bytes. See crc32c.h.
#include "base/crc32c.h"

static const uint32_t POLYNOMIAL = 0x82f63b78;      // reflected

uint32_t crc32c(struct slice data)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < data.n; i++) {
        crc ^= data.p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
    }
    return ~crc;
}
