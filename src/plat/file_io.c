// Reading, writing and reserving: see file.h.
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#include "plat/file.h"
#include "plat/oserr.h"

// Bytes of one pwritev. A write of 1 MiB gets pages of the highest order for the page cache: on virtual machines those are
// the ones that were given back to the host, and cost 0.8-1.8 s/GiB instead of 0.18. In whole transfers a leech took
// 1.25-2.3 s/GiB with 128 KiB and 0.94-1.5 with 32 KiB, in turns; smaller ones would cost more system calls than they save.
enum { WRITE_MAX = 32 * 1024 };

enum err file_reserve(int fd, uint64_t len)
{
    if (len == 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)len) == 0)
        return ERR_OK;
    // Never posix_fallocate: where the file system cannot, it writes zeros.
    return errno == EOPNOTSUPP || errno == ENOSYS ? ERR_OK : err_of_errno(errno);
}

// Takes `done` bytes from the front; returns how many entries are used up.
static uint32_t iov_advance(struct iovec *iov, uint32_t n, size_t done)
{
    uint32_t i = 0;
    while (i < n && done >= iov[i].iov_len)
        done -= iov[i++].iov_len;
    if (i < n) {
        iov[i].iov_base = (uint8_t *)iov[i].iov_base + done;
        iov[i].iov_len -= done;
    }
    return i;
}

enum err file_read_all(int fd, struct iovec *iov, uint32_t n, uint64_t off)
{
    while (n > 0) {
        const ssize_t got = preadv(fd, iov, (int)n, (off_t)off);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_of_errno(errno);
        if (got == 0)
            return ERR_NOT_FOUND;
        off += (uint64_t)got;
        const uint32_t used = iov_advance(iov, n, (size_t)got);
        iov += used;
        n -= used;
    }
    return ERR_OK;
}

// How many entries make up at most WRITE_MAX bytes; at least one, which may be longer.
static int iov_some(const struct iovec *iov, uint32_t n)
{
    size_t sum = iov[0].iov_len;
    uint32_t i = 1;
    while (i < n && iov[i].iov_len <= WRITE_MAX && sum + iov[i].iov_len <= WRITE_MAX)
        sum += iov[i++].iov_len;
    return (int)i;
}

enum err file_write_all(int fd, struct iovec *iov, uint32_t n, uint64_t off)
{
    while (n > 0) {
        const ssize_t put = pwritev(fd, iov, iov_some(iov, n), (off_t)off);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_of_errno(errno);
        if (put == 0)
            return ERR_IO;
        off += (uint64_t)put;
        const uint32_t used = iov_advance(iov, n, (size_t)put);
        iov += used;
        n -= used;
    }
    return ERR_OK;
}

size_t file_read_warm(int fd, struct span to, uint64_t off)
{
    struct iovec iov = {to.p, to.n};
    const ssize_t got = preadv2(fd, &iov, 1, (off_t)off, RWF_NOWAIT);
    return got < 0 ? 0 : (size_t)got;
}
