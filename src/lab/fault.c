// The table of faults: see fault.h.
#include "lab/fault.h"

static const char *const fates[] = {"mixed", "kept", "dropped", NULL};
static const char *const yes_no[] = {"no", "yes", NULL};

#define ARG(index, text, kind, list, most) {.name = text, .type = kind, .offset = index, .words = list, .max = most}

const struct fault_kind fault_kinds[] = {
    {"start", ACTION_START, "a node that is down starts again", .a = FAULT_ARGS_MAX, .b = FAULT_ARGS_MAX},
    {"leave", ACTION_LEAVE, "the node stops in an orderly way and stays away", .a = FAULT_ARGS_MAX, .b = FAULT_ARGS_MAX},
    {"crash", ACTION_CRASH, "the node dies; pages of its disk that were not synced meet their fate",
        .args = {ARG(0, "disk", FIELD_WORD, fates, 0), ARG(1, "silent", FIELD_WORD, yes_no, 0)}, .a = 0, .b = 1},
    {"pause", ACTION_PAUSE, "the process sleeps", .must_end = true, .a = FAULT_ARGS_MAX, .b = FAULT_ARGS_MAX},
    {"partition", ACTION_SIDE, "only nodes of the same side hear each other; side 0 is where all begin",
        .args = {ARG(0, "side", FIELD_COUNT, NULL, 1000)}, .a = 0, .b = FAULT_ARGS_MAX},
    {"diskfull", ACTION_SPACE, "no more than so many bytes fit on the disk",
        .args = {ARG(0, "space", FIELD_SIZE, NULL, 0)}, .a = 0, .b = FAULT_ARGS_MAX},
    {"eio", ACTION_EIO, "disk operations fail by chance",
        .args = {ARG(0, "p", FIELD_SHARE, NULL, 1000000)}, .a = 0, .b = FAULT_ARGS_MAX},
    {"loss", ACTION_LOSS, "packets are lost, everywhere", .world = true,
        .args = {ARG(0, "p", FIELD_SHARE, NULL, 500000)}, .a = 0, .b = FAULT_ARGS_MAX},
    {"rate", ACTION_RATE, "the line gets another speed",
        .args = {ARG(0, "up", FIELD_RATE, NULL, 0), ARG(1, "down", FIELD_RATE, NULL, 0)}, .a = 0, .b = 1},
};
const uint32_t fault_kinds_n = ARRAY_LEN(fault_kinds);

bool fault_undo(const struct fault_kind *k, uint32_t host, const struct host_config *home, const struct world_config *world, struct action *out)
{
    *out = (struct action){.kind = k->action, .host = host};
    // Only kinds of the table above come here; the world itself ends what has a duration in its action.
    if (k->action == ACTION_CRASH)
        out->kind = ACTION_START;
    else if (k->action == ACTION_SPACE)
        out->a = home->disk.space_bytes;
    else if (k->action == ACTION_EIO)
        out->a = home->disk.eio_ppm;
    else if (k->action == ACTION_LOSS)
        out->a = world->loss_ppm;
    if (k->action == ACTION_RATE) {
        out->a = home->up_bps;
        out->b = home->down_bps;
    }
    return k->action != ACTION_START && k->action != ACTION_LEAVE && k->action != ACTION_PAUSE;
}

uint32_t fault_heal(uint32_t host, const struct host_config *home, struct action out[FAULT_HEALS_MAX])
{
    uint32_t n = 0;
    out[n++] = (struct action){.kind = ACTION_SIDE, .host = host};
    out[n++] = (struct action){.kind = ACTION_SPACE, .host = host};
    out[n++] = (struct action){.kind = ACTION_EIO, .host = host};
    out[n++] = (struct action){.kind = ACTION_RATE, .host = host, .a = home->up_bps, .b = home->down_bps};
    out[n++] = (struct action){.kind = ACTION_START, .host = host};
    return n;
}
