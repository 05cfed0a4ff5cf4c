// The operating system behind one page; only app/ includes it.
//
//   loop.h     descriptors, timers, signals, one call at the end of each turn
//   gateway.h  the router and datagrams to it
//   group.h    a multicast group of the local network
//   net.h      TCP and UDP sockets, datagrams in batches
//   jobs.h     worker threads
//   file.h     files below a root that no path can leave
//   files.h    open files, at most so many
//   fetch.h    HTTP and HTTPS
//   resolve.h  names
//   oserr.h    errno -> enum err
#pragma once
#include "plat/fetch.h"
#include "plat/file.h"
#include "plat/files.h"
#include "plat/group.h"
#include "plat/jobs.h"
#include "plat/loop.h"
#include "plat/net.h"
#include "plat/oserr.h"
#include "plat/resolve.h"
