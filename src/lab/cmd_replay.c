// `kith lab replay`.
#include <stdio.h>
#include <stdlib.h>

#include "lab/cli.h"
#include "lab/replay.h"

enum { RECORDING_MAX = 1 << 30 };

int lab_replay(const struct lab_options *o)
{
    struct buf b;
    const int status = lab_read(o->words[1], RECORDING_MAX, &b);
    if (status != LAB_DONE)
        return status;
    struct replay r;
    replay_run(buf_slice(&b), &r);
    free(b.p);
    if (r.foreign)
        return lab_say(LAB_USAGE, "%s: %s", o->words[1], r.why);
    (void)printf("%llu frames over %.3f s, %llu bytes received, %llu outputs, %llu times compared\n", (unsigned long long)r.frames,
        (double)(r.now - r.start) / 1e9, (unsigned long long)r.bytes, (unsigned long long)r.polls, (unsigned long long)r.checked);
    if (r.why[0] == '\0') {
        (void)puts(r.early ? "the same outputs up to where the recording ends early: its process did not stop in order, or the file was cut off" :
            "the same outputs");
        return LAB_DONE;
    }
    return lab_say(LAB_FAILED, "%s: %s", o->words[1], r.why);
}
