// CRC-32C (Castagnoli), the checksum of BEP 42's node ids. RFC 3720 appendix B.4.
#pragma once
#include "base/bytes.h"

uint32_t crc32c(struct slice data);
