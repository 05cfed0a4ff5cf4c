// See published.h.
#include "lab/published.h"

#include <stdio.h>
#include <stdlib.h>

extern const char published_tsv[];      // made of tests/bench/published.tsv by embed.py

// Copies the field at *text; *text moves behind its tab or stays at the end of the line.
static void field(const char **text, char *out, size_t max)
{
    const size_t n = strcspn(*text, "\t\n");
    const size_t kept = size_min(n, max - 1);
    memcpy(out, *text, kept);
    out[kept] = '\0';
    *text += n + ((*text)[n] == '\t');
}

bool published_find(const char *id, struct published *out)
{
    const size_t n = strlen(id);
    for (const char *line = published_tsv; *line != '\0';) {
        if (strncmp(line, id, n) == 0 && line[n] == '\t' && n > 0) {
            field(&line, out->id, sizeof out->id);
            field(&line, out->quantity, sizeof out->quantity);
            field(&line, out->value, sizeof out->value);
            field(&line, out->unit, sizeof out->unit);
            field(&line, out->source, sizeof out->source);
            field(&line, out->provenance, sizeof out->provenance);
            field(&line, out->gate, sizeof out->gate);
            return true;
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return false;
}

// "<= v", ">= v", "in a..b", "= v +-d" in units; "<= f x", "= 1 x +-p%" relative to what was published.
static bool holds(const char *cond, double published, double low, double high)
{
    char *end;
    if (strncmp(cond, "in ", 3) == 0) {
        const char *dots = strstr(cond, "..");      // strtod would take the first of them for a decimal point
        return dots != NULL && low >= strtod(cond + 3, NULL) && high <= strtod(dots + 2, NULL);
    }
    const char op = cond[0];
    const char *number = cond + (op == '=' ? 1 : 2);
    double v = strtod(number, &end);
    while (*end == ' ')
        end++;
    const bool relative = *end == 'x';
    if (relative)
        v *= published;
    if (op == '<')
        return high <= v;
    if (op == '>')
        return low >= v;
    const char *margin = strstr(end, "+-");
    double d = margin == NULL ? 0 : strtod(margin + 2, &end);
    if (margin != NULL && *end == '%')
        d *= v / 100;
    return op == '=' && low >= v - d && high <= v + d;
}

enum verdict gate_judge(const char *gate, double published, double low, double high)
{
    const char *better = strstr(gate, "better "), *reproduced = strstr(gate, "reproduced ");
    if (better == NULL && reproduced == NULL)
        return VERDICT_NONE;
    if (better != NULL && holds(better + strlen("better "), published, low, high))
        return VERDICT_BETTER;
    if (reproduced != NULL && holds(reproduced + strlen("reproduced "), published, low, high))
        return VERDICT_REPRODUCED;
    return VERDICT_FAILED;
}

enum verdict published_judge(const struct published *p, double low, double high)
{
    return gate_judge(p->gate, strtod(p->value, NULL), low, high);
}

const char *published_word(enum verdict v)
{
    switch (v) {
    case VERDICT_FAILED: return "FAILED";
    case VERDICT_REPRODUCED: return "reproduced";
    case VERDICT_BETTER: return "better";
    case VERDICT_NONE: return "context";
    }
    return "?";
}
