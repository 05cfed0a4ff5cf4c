// `kith create`: a torrent file and nothing else.
#include <stdlib.h>

#include "app/cmd.h"
#include "app/making.h"
#include "base/units.h"

static void report(struct app *a, const struct making *m, const char *path)
{
    char size[UNITS_TEXT_MAX], piece[UNITS_TEXT_MAX], took[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX];
    if (a->talk.json) {
        json_t *e = talk_event("result");
        json_object_set_new(e, "torrent", talk_json_text(slice_str(path)));
        torrent_describe(&m->meta, e);
        json_object_set_new(e, "ms", talk_json_count(m->took / NSEC_MS));
        talk_emit(&a->talk, e);
        return;
    }
    char *const link = torrent_magnet(&m->meta);
    if (link != NULL)
        talk_data(&a->talk, "%s", link);
    free(link);
    talk_note(&a->talk, "%s%s: %s, %u pieces of %s, hashed in %s (%s)", a->talk.utf8 ? "✓ " : "", path, units_size(m->meta.len, size),
        m->meta.pieces_n, units_size(m->meta.piece_len, piece), units_elapsed(m->took, took),
        units_rate(units_per_second(m->meta.len, m->took), rate));
}

int cmd_create(struct app *a)
{
    struct making m;
    char *path = NULL;
    int status = making_run(a, a->options.args.items[0], &m);
    if (status == 0)
        status = making_write(a, &m, &path);
    if (status == 0)
        report(a, &m, path);
    free(path);
    making_done(&m);
    return status;
}
