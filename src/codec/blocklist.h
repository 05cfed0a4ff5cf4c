// One line of a list of addresses, as they are found on the net: P2P plaintext ("name:1.2.3.4-1.2.3.9"), DAT of eMule
// ("001.002.003.004 - 001.002.003.009 , 000 , name"), CIDR ("10.0.0.0/8", "2001:db8::/32"), a range, or an address.
#pragma once
#include "base/addr.h"

enum blocklist_line { BLOCKLIST_NOTHING, BLOCKLIST_RANGE, BLOCKLIST_BAD };

enum { BLOCKLIST_LINE_MAX = 1024, BLOCKLIST_DAT_ALLOWED = 128 };       // DAT: an access level from here on is no block

// BLOCKLIST_RANGE: from … to, inclusive, port 0, of one family. BLOCKLIST_NOTHING: blank, a comment (#, ;, //), or allowed.
enum blocklist_line blocklist_line(struct slice line, struct addr *from, struct addr *to);
