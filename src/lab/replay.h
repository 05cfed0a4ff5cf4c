// Runs a recording (codec/record.h) through one node: the same inputs at the same times must give the same outputs.
#pragma once
#include "base/bytes.h"

enum { REPLAY_WHY_MAX = 240 };

struct replay {
    uint64_t frames, polls, bytes;      // what was replayed; bytes: of streams and datagrams
    uint64_t now, start;                // ns
    uint64_t checked;                   // drains whose hash was compared
    bool early;                         // it ends within a frame, or before its node was told to stop: as of a process that was killed
    bool foreign;                       // it is no recording, or one of another version
    char why[REPLAY_WHY_MAX];           // "": all is as recorded
};

// out->why says at which frame something is not as recorded, or what is wrong with the file.
void replay_run(struct slice recording, struct replay *out);
