// Force-included into the pure layers: a protocol engine reads no clock, opens nothing, allocates through its env.
// The headers come first, because they may name what is poisoned after them.
#pragma once
#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison malloc calloc realloc free alloca strdup
#pragma GCC poison printf fprintf puts fputs putchar perror sprintf strcpy strcat gets scanf sscanf
#pragma GCC poison fopen fread fwrite remove rename tmpfile getenv system exit _exit abort atexit
#pragma GCC poison time clock clock_gettime gettimeofday nanosleep sleep usleep localtime gmtime strftime mktime
#pragma GCC poison rand srand random srandom drand48
#pragma GCC poison qsort bsearch strtok setlocale
