// errno -> enum err: see oserr.h.
#include "plat/oserr.h"

#include <errno.h>

static const struct {
    int os;
    enum err err;
} TABLE[] = {
    {ENOMEM, ERR_NOMEM},              {ENOBUFS, ERR_NOMEM},
    {EMFILE, ERR_FULL},               {ENFILE, ERR_FULL},
    {EINVAL, ERR_RANGE},              {EDOM, ERR_RANGE},
    {EEXIST, ERR_EXISTS},             {EADDRINUSE, ERR_EXISTS},
    {EISDIR, ERR_IS_DIR},             {ENOTEMPTY, ERR_EXISTS},
    {ENOENT, ERR_NOT_FOUND},          {ENODEV, ERR_NOT_FOUND},
    {EACCES, ERR_ACCESS},             {EPERM, ERR_ACCESS},
    {ELOOP, ERR_LINK},                // a symbolic link where none may be
    {EXDEV, ERR_ACCESS},              // out of the root (RESOLVE_BENEATH)
    {EIO, ERR_IO},                    {ENOSPC, ERR_NOSPACE},
    {EDQUOT, ERR_NOSPACE},            {EROFS, ERR_READONLY},
    {ENOTDIR, ERR_NOT_DIR},           {ENAMETOOLONG, ERR_TOO_LONG},
    {EFBIG, ERR_TOO_LONG},            {EMSGSIZE, ERR_TOO_LONG},
    {EAGAIN, ERR_AGAIN},              {EINPROGRESS, ERR_AGAIN},
    {EINTR, ERR_AGAIN},               {ECONNRESET, ERR_CLOSED},
    {EPIPE, ERR_CLOSED},              {ENOTCONN, ERR_CLOSED},
    {ECONNABORTED, ERR_CLOSED},       {ETIMEDOUT, ERR_TIMEOUT},
    {ECONNREFUSED, ERR_REFUSED},      {ENETUNREACH, ERR_UNREACHABLE},
    {EHOSTUNREACH, ERR_UNREACHABLE},  {ENETDOWN, ERR_UNREACHABLE},
    {EADDRNOTAVAIL, ERR_UNREACHABLE}, {ENOSYS, ERR_UNSUPPORTED},
    {EOPNOTSUPP, ERR_UNSUPPORTED},    {EAFNOSUPPORT, ERR_UNSUPPORTED},
    {EPROTONOSUPPORT, ERR_UNSUPPORTED}, {ECANCELED, ERR_CANCELLED},
    {ESTALE, ERR_VANISHED},           {ENXIO, ERR_VANISHED},
    {EPROTO, ERR_PROTOCOL},
};

enum err err_of_errno(int e)
{
    ASSERT(e != 0);
    for (size_t i = 0; i < ARRAY_LEN(TABLE); i++) {
        if (TABLE[i].os == e)
            return TABLE[i].err;
    }
    return ERR_IO;
}
