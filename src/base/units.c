// See units.h.
#include "base/units.h"

#include <stdio.h>

enum { DECIMALS_MAX = 6 };

#define VALUE_MAX ((uint64_t)1 << 63)
#define TIME_MAX ((nsec)315360000 * NSEC_S)         // 10 years

// A decimal number: value / scale.
struct decimal {
    uint64_t value, scale;
};

// Reads digits and perhaps a point and digits; *text moves behind them.
static enum err parse_decimal(const char **text, struct decimal *out)
{
    struct decimal d = {0, 1};
    const char *p = *text;
    bool point = false;
    int digits = 0, decimals = 0;
    for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        if (d.value > VALUE_MAX / 10)
            return ERR_RANGE;
        if (point && ++decimals > DECIMALS_MAX)
            return ERR_SYNTAX;
        d.value = d.value * 10 + (uint64_t)(*p - '0');
        d.scale *= point ? 10 : 1;
        digits++;
    }
    if (digits == 0 || p[-1] == '.')
        return ERR_SYNTAX;
    *text = p;
    *out = d;
    return ERR_OK;
}

// d * unit, rounded down.
static enum err times(struct decimal d, uint64_t unit, uint64_t *out)
{
    const uint64_t whole = d.value / d.scale, rest = d.value % d.scale;
    if (whole != 0 && unit > VALUE_MAX / whole)
        return ERR_RANGE;
    // rest < 10^6: split the unit, so that the product stays below 2^64
    const uint64_t part = unit / d.scale * rest + unit % d.scale * rest / d.scale;
    const uint64_t sum = u64_add_sat(whole * unit, part);
    if (sum > VALUE_MAX)
        return ERR_RANGE;
    *out = sum;
    return ERR_OK;
}

// The power of a prefix letter of either case, 0: none of them.
static unsigned prefix_power(char c)
{
    static const char letters[] = "kmgt";
    for (unsigned i = 0; letters[i] != 0; i++)
        if (c == letters[i] || c == letters[i] - 'a' + 'A')
            return i + 1;
    return 0;
}

static uint64_t power(uint64_t base, unsigned n)
{
    uint64_t v = 1;
    while (n-- > 0)
        v *= base;
    return v;
}

// The unit behind the number in bytes: "", B, K, KiB, KB and so on; *text moves behind it. 0: not one of them.
// A lower-case b after a prefix is refused, because some mean bits by it.
static uint64_t parse_unit(const char **text)
{
    const char *p = *text;
    const unsigned n = prefix_power(*p);
    p += n > 0;
    uint64_t base = 1024;
    if (n > 0 && (*p == 'i' || *p == 'I')) {
        p++;
        if (*p != 'B' && *p != 0 && *p != '/')
            return 0;
    } else if (n > 0 && *p == 'B') {
        base = 1000;
    }
    p += *p == 'B';
    *text = p;
    return power(base, n);
}

enum err units_parse_size(const char *text, uint64_t *out)
{
    struct decimal d;
    const enum err e = parse_decimal(&text, &d);
    if (e != ERR_OK)
        return e;
    while (*text == ' ')
        text++;
    const uint64_t unit = parse_unit(&text);
    if (unit == 0 || *text != 0)
        return ERR_SYNTAX;
    return times(d, unit, out);
}

// text begins with `word` (lower case), in either case.
static bool begins(const char *text, const char *word)
{
    for (; *word != 0; text++, word++)
        if (*text != *word && *text != *word - 'a' + 'A')
            return false;
    return true;
}

enum err units_parse_rate(const char *text, uint64_t *out)
{
    if ((begins(text, "none") && text[4] == 0) || (begins(text, "unlimited") && text[9] == 0)) {
        *out = 0;
        return ERR_OK;
    }
    struct decimal d;
    enum err e = parse_decimal(&text, &d);
    if (e != ERR_OK)
        return e;
    while (*text == ' ')
        text++;
    const unsigned n = prefix_power(*text);
    const char *bits = text + (n > 0);
    uint64_t unit = 0;
    bool is_bits = false;
    if (begins(bits, "bit")) {
        is_bits = true;
        unit = power(1000, n);
        text = bits + 3;
    } else {
        unit = parse_unit(&text);
    }
    if (strcmp(text, "/s") == 0 || strcmp(text, "ps") == 0)
        text += 2;
    if (unit == 0 || *text != 0)
        return ERR_SYNTAX;
    uint64_t v = 0;
    e = times(d, unit, &v);
    if (e == ERR_OK)
        *out = is_bits ? u64_div_up(v, 8) : v;
    return e;
}

enum err units_parse_share(const char *text, uint64_t *out)
{
    struct decimal d;
    const enum err e = parse_decimal(&text, &d);
    if (e != ERR_OK)
        return e;
    if (*text == 0)
        return times(d, 1000000, out);
    if (strcmp(text, "%") == 0)
        return times(d, 10000, out);
    return strcmp(text, "ppm") == 0 ? times(d, 1, out) : ERR_SYNTAX;
}

enum err units_parse_time(const char *text, nsec *out)
{
    static const struct {
        const char *name;
        nsec unit;
    } units[] = {{"ms", NSEC_MS}, {"s", NSEC_S}, {"m", 60 * NSEC_S}, {"h", 3600 * NSEC_S}, {"d", 86400 * NSEC_S}};
    nsec sum = 0;
    do {
        struct decimal d;
        enum err e = parse_decimal(&text, &d);
        if (e != ERR_OK)
            return e;
        nsec unit = *text == 0 && sum == 0 ? NSEC_S : 0, v = 0;
        for (size_t i = 0; i < ARRAY_LEN(units) && unit == 0; i++) {
            const size_t n = strlen(units[i].name);
            if (strncmp(text, units[i].name, n) == 0) {
                unit = units[i].unit;
                text += n;
            }
        }
        if (unit == 0)
            return ERR_SYNTAX;
        e = times(d, unit, &v);
        if (e != ERR_OK)
            return e;
        sum = u64_add_sat(sum, v);
        if (sum > TIME_MAX)
            return ERR_RANGE;
    } while (*text != 0);
    *out = sum;
    return ERR_OK;
}

enum err units_parse_ratio(const char *text, uint64_t most, uint64_t *out_pm)
{
    struct decimal d;
    uint64_t v = 0;
    enum err e = parse_decimal(&text, &d);
    if (e == ERR_OK && *text != 0)
        e = ERR_SYNTAX;
    if (e == ERR_OK)
        e = times(d, 1000, &v);
    if (e != ERR_OK)
        return e;
    if (v > most)
        return ERR_RANGE;
    *out_pm = v;
    return ERR_OK;
}

static const char *const iec[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

// The unit in which `bytes` has one to four digits before the point; its tenths, rounded, in *out_tenths.
static unsigned iec_of(uint64_t bytes, uint64_t *out_tenths)
{
    unsigned u = 0;
    uint64_t unit = 1, tenths = bytes;
    while (u + 1 < ARRAY_LEN(iec) && (u == 0 ? bytes >= 1024 : tenths >= 10240)) {
        u++;
        unit *= 1024;
        const uint64_t rest = bytes % unit;
        // rest * 10 stays below 2^64 for units up to 2^60
        tenths = bytes / unit * 10 + (rest * 10 + unit / 2) / unit;
    }
    *out_tenths = tenths;
    return u;
}

static char *write_size(uint64_t bytes, const char *blank, const char *behind, char out[UNITS_TEXT_MAX])
{
    uint64_t tenths = 0;
    const unsigned u = iec_of(bytes, &tenths);
    if (u == 0)
        snprintf(out, UNITS_TEXT_MAX, "%llu%sB%s", (unsigned long long)bytes, blank, behind);
    else
        snprintf(out, UNITS_TEXT_MAX, "%llu.%llu%s%s%s", (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10),
            blank, iec[u], behind);
    return out;
}

char *units_size(uint64_t bytes, char out[UNITS_TEXT_MAX])
{
    return write_size(bytes, " ", "", out);
}

char *units_size_tight(uint64_t bytes, char out[UNITS_TEXT_MAX])
{
    return write_size(bytes, "", "", out);
}

char *units_rate(uint64_t bps, char out[UNITS_TEXT_MAX])
{
    return write_size(bps, " ", "/s", out);
}

char *units_rate_tight(uint64_t bps, char out[UNITS_TEXT_MAX])
{
    return write_size(bps, "", "/s", out);
}

char *units_share(uint64_t part, uint64_t all, char out[UNITS_TEXT_MAX])
{
    uint64_t tenths = 0;
    const unsigned u = iec_of(all, &tenths);
    if (u == 0) {
        snprintf(out, UNITS_TEXT_MAX, "%llu / %llu B", (unsigned long long)part, (unsigned long long)all);
        return out;
    }
    // rounded down, so that it is never the whole before it is; but the whole is the whole
    const uint64_t unit = power(1024, u), mine = part == all ? tenths : part / unit * 10 + part % unit * 10 / unit;
    snprintf(out, UNITS_TEXT_MAX, "%llu.%llu / %llu.%llu %s", (unsigned long long)(mine / 10), (unsigned long long)(mine % 10),
        (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10), iec[u]);
    return out;
}

char *units_time(uint64_t s, char out[UNITS_TEXT_MAX])
{
    const unsigned long long t = s;
    if (s == UINT64_MAX)
        snprintf(out, UNITS_TEXT_MAX, "-");
    else if (s < 60)
        snprintf(out, UNITS_TEXT_MAX, "%llus", t);
    else if (s < 3600)
        snprintf(out, UNITS_TEXT_MAX, "%llum%02llus", t / 60, t % 60);
    else if (s < 86400)
        snprintf(out, UNITS_TEXT_MAX, "%lluh%02llum", t / 3600, t / 60 % 60);
    else
        snprintf(out, UNITS_TEXT_MAX, "%llud%02lluh", t / 86400, t / 3600 % 24);
    return out;
}

char *units_elapsed(nsec t, char out[UNITS_TEXT_MAX])
{
    if (t >= 60 * NSEC_S)
        return units_time(t / NSEC_S, out);
    const unsigned long long tenths = (t + 50 * NSEC_MS) / (100 * NSEC_MS);
    snprintf(out, UNITS_TEXT_MAX, "%llu.%llu s", tenths / 10, tenths % 10);
    return out;
}

unsigned units_percent(uint64_t part, uint64_t all)
{
    if (part >= all)
        return 100;
    // both below 2^57 after the shift, if need be
    const unsigned shift = all >> 57 != 0 ? 7 : 0;
    return (unsigned)((part >> shift) * 100 / (all >> shift));
}

uint64_t units_per_second(uint64_t bytes, nsec t)
{
    const uint64_t us = t / NSEC_US;
    if (us == 0)
        return 0;
    return bytes / us * 1000000 + bytes % us * 1000000 / us;
}
