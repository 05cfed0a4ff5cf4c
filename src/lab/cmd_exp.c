// `kith lab NAME` and `kith lab all`.
#include <stdio.h>

#include "lab/exp.h"

int lab_experiment(const struct lab_options *o)
{
    for (uint32_t i = 0; i < experiments_n; i++) {
        if (strcmp(experiments[i].name, o->words[0]) != 0)
            continue;
        (void)printf("%s: %s\n", experiments[i].name, experiments[i].line);
        const uint64_t start = stage_clock_ms();
        const int status = experiments[i].run(o);
        (void)printf("%s: %.1f s\n", experiments[i].name, (double)(stage_clock_ms() - start) / 1e3);
        return status;
    }
    return LAB_NOT_FOUND;
}

int lab_all(const struct lab_options *o)
{
    int status = LAB_DONE;
    for (uint32_t i = 0; i < experiments_n; i++) {
        struct lab_options one = *o;
        one.words[0] = experiments[i].name;
        const int s = lab_experiment(&one);
        status = s != LAB_DONE ? s : status;
        (void)fflush(stdout);
    }
    return status;
}
