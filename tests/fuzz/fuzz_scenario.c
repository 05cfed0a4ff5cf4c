// Scenario files: any bytes are a scenario or an error with a line; what is read prints to a text that reads back to the same print.
#include <stdlib.h>

#include "lab/mem.h"
#include "lab/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t first[1 << 20], second[1 << 20];
    char why[SCENARIO_WHY_MAX];
    struct scenario a, b;
    const bool good = scenario_parse(&a, &lab_heap, "f", slice_of(data, n), why) == ERR_OK;
    ASSERT(good || why[0] != '\0');
    for (int expand = 0; good && expand < 2 && (expand == 0 || a.nodes_n < 200); expand++) {
        struct buf x = {first, 0, sizeof first}, y = {second, 0, sizeof second};
        struct wr w = wr_make(&x), v = wr_make(&y);
        scenario_print(&a, expand != 0, &w);
        if (!w.ok)
            break;
        ASSERT(scenario_parse(&b, &lab_heap, "g", buf_slice(&x), why) == ERR_OK);
        scenario_print(&b, expand != 0, &v);
        ASSERT(v.ok);
        ASSERT(slice_eq(buf_slice(&x), buf_slice(&y)));
        scenario_done(&b);
    }
    scenario_done(&a);
    return 0;
}
