// The phrases of enum err.
#include "base/err.h"

const char *err_text(enum err e)
{
    switch (e) {
    case ERR_OK: return "ok";
    case ERR_NOMEM: return "out of memory";
    case ERR_FULL: return "limit reached";
    case ERR_RANGE: return "out of range";
    case ERR_SYNTAX: return "malformed";
    case ERR_EXISTS: return "already exists";
    case ERR_NOT_FOUND: return "not found";
    case ERR_ACCESS: return "permission denied";
    case ERR_IO: return "input/output error";
    case ERR_NOSPACE: return "no space left on device";
    case ERR_READONLY: return "read-only file system";
    case ERR_NOT_DIR: return "not a directory";
    case ERR_TOO_LONG: return "too long";
    case ERR_AGAIN: return "try again";
    case ERR_CLOSED: return "closed by the other side";
    case ERR_TIMEOUT: return "timed out";
    case ERR_REFUSED: return "refused";
    case ERR_UNREACHABLE: return "unreachable";
    case ERR_UNSUPPORTED: return "not supported";
    case ERR_HASH: return "hash mismatch";
    case ERR_CANCELLED: return "cancelled";
    case ERR_VANISHED: return "storage vanished";
    case ERR_PROTOCOL: return "protocol violation";
    case ERR_LINK: return "a symbolic link is in the way, which is not followed";
    case ERR_IS_DIR: return "a directory is in the way";
    case ERR_PROXY: return "the proxy does not serve us";
    case ERR_N: break;
    }
    return "unknown error";
}

bool err_is_of_file(enum err e)
{
    return e == ERR_ACCESS || e == ERR_EXISTS || e == ERR_NOT_DIR || e == ERR_IS_DIR || e == ERR_LINK || e == ERR_TOO_LONG;
}
