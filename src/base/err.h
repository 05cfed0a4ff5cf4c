// What can go wrong with a request of a caller. Hostile bytes are never an error of an engine; see docs/ARCHITECTURE.md.
#pragma once

enum err {
    ERR_OK = 0,
    ERR_NOMEM,       // memory, or a named memory limit
    ERR_FULL,        // a table with a named limit is full
    ERR_RANGE,       // a number outside its range
    ERR_SYNTAX,      // text or bytes that are not of their format
    ERR_EXISTS,      // already there
    ERR_NOT_FOUND,   // no such thing
    ERR_ACCESS,      // not permitted
    ERR_IO,          // the device failed (EIO)
    ERR_NOSPACE,     // disk or quota full (ENOSPC, EDQUOT)
    ERR_READONLY,    // read-only file system (EROFS)
    ERR_NOT_DIR,     // a part of the path is not a directory
    ERR_TOO_LONG,    // a name or message is longer than allowed
    ERR_AGAIN,       // not now; try later
    ERR_CLOSED,      // the other side ended it
    ERR_TIMEOUT,     // no answer in time
    ERR_REFUSED,     // the other side refused (ECONNREFUSED, tracker failure)
    ERR_UNREACHABLE, // no route, no such name
    ERR_UNSUPPORTED, // not available on this machine or in this build
    ERR_HASH,        // content does not match its digest
    ERR_CANCELLED,   // the caller took it back
    ERR_VANISHED,    // a file or volume that was there is gone
    ERR_PROTOCOL,    // the other side broke the protocol
    ERR_LINK,        // a symbolic link that is not followed (ELOOP)
    ERR_IS_DIR,      // a directory where a file belongs (EISDIR)
    ERR_PROXY,       // the proxy in between cannot be reached or does not let us in: nothing is known of the other side
    ERR_N,
};

// One short English phrase for `e`, static, never NULL: "no space left".
const char *err_text(enum err e);
// Is it about one file of many, and for good: a link, a directory or a right in the way?
bool err_is_of_file(enum err e);
