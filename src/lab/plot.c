// See plot.h. Colours: Okabe and Ito, told apart by colour-blind people, too.
#include "lab/plot.h"

#include <math.h>

enum { WIDTH = 760, HEIGHT = 460, LEFT = 74, RIGHT = 24, TOP = 66, BOTTOM = 56, TICKS = 6, LEGEND_STEP = 19 };

static const char *const palette[] = {"#333333", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c564b"};

struct axis {
    double min, max;
    bool log;
    double from, to;                    // pixels
};

struct series *plot_add(struct plot *p, const char *name, enum series_kind kind, const double *x, const double *y, uint32_t n)
{
    ASSERT(p->series_n < PLOT_SERIES_MAX);
    struct series *s = &p->series[p->series_n++];
    *s = (struct series){.name = name, .kind = kind, .x = x, .y = y, .n = n};
    return s;
}

static const char *color_of(const struct plot *p, uint32_t i)
{
    const int c = p->series[i].color != 0 ? p->series[i].color : (int)i + 1;
    return palette[(size_t)c % ARRAY_LEN(palette)];
}

static double place(const struct axis *a, double v)
{
    if (a->log)
        v = v > 0 ? log10(v) : a->min;
    return a->from + (v - a->min) / (a->max - a->min) * (a->to - a->from);
}

static void widen(struct axis *a, double v)
{
    if (!isfinite(v) || (a->log && v <= 0))
        return;
    const double w = a->log ? log10(v) : v;
    if (w < a->min)
        a->min = w;
    if (w > a->max)
        a->max = w;
}

// 1, 2 or 5 times a power of ten: a distance with at most TICKS ticks.
static double step_of(double range)
{
    const double raw = range / TICKS, power = pow(10, floor(log10(raw)));
    const double m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

static void fit(const struct plot *p, struct axis *x, struct axis *y)
{
    *x = (struct axis){.min = INFINITY, .max = -INFINITY, .log = p->log_x, .from = LEFT, .to = WIDTH - RIGHT};
    *y = (struct axis){.min = INFINITY, .max = -INFINITY, .log = p->log_y, .from = HEIGHT - BOTTOM, .to = TOP};
    for (uint32_t i = 0; i < p->series_n; i++) {
        const struct series *s = &p->series[i];
        for (uint32_t k = 0; k < s->n; k++) {
            widen(x, s->x[k]);
            widen(y, s->y[k]);
            if (s->low != NULL)
                widen(y, s->low[k]);
            if (s->high != NULL)
                widen(y, s->high[k]);
        }
    }
    if (p->categories != NULL) {
        x->min = -0.6;
        x->max = p->categories_n - 0.4;
    }
    if (p->y_from_zero && !p->log_y)
        widen(y, 0);
    if (!isfinite(x->min) || !isfinite(y->min))
        *x = *y = (struct axis){.min = 0, .max = 1, .from = LEFT, .to = WIDTH - RIGHT};
    if (x->max <= x->min)
        x->max = x->min + 1;
    if (y->max <= y->min)
        y->max = y->min + (y->log ? 1 : fabs(y->min) + 1e-9);
    const double room = (y->max - y->min) * 0.06;
    y->max += room;
    if (!p->y_from_zero || y->log)
        y->min -= room;
    if (p->categories == NULL) {
        const double side = (x->max - x->min) * 0.025;
        x->min -= side;
        x->max += side;
    }
}

static void text(FILE *to, double x, double y, const char *anchor, const char *style, const char *words)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>", x, y, anchor, style);
    for (; *words != '\0'; words++) {
        if (*words == '<')
            fputs("&lt;", to);
        else if (*words == '&')
            fputs("&amp;", to);
        else
            fputc(*words, to);
    }
    fputs("</text>\n", to);
}

static void number(char out[32], double v)
{
    if (fabs(v) >= 1e6)
        snprintf(out, 32, "%gM", v / 1e6);
    else if (fabs(v) < 1e-9)
        snprintf(out, 32, "0");
    else
        snprintf(out, 32, "%g", v);
}

static void tick(FILE *to, const struct axis *a, double v, bool horizontal)
{
    char words[32];
    const double at = place(a, v);
    number(words, v);
    if (horizontal) {
        fprintf(to, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" class=\"grid\"/>\n", at, TOP, at, HEIGHT - BOTTOM);
        text(to, at, HEIGHT - BOTTOM + 18, "middle", "class=\"tick\"", words);
    } else {
        fprintf(to, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" class=\"grid\"/>\n", LEFT, at, WIDTH - RIGHT, at);
        text(to, LEFT - 8, at + 4, "end", "class=\"tick\"", words);
    }
}

static void ticks(FILE *to, const struct axis *a, bool horizontal)
{
    if (!a->log) {
        const double step = step_of(a->max - a->min);
        const double first = ceil(a->min / step) * step;
        for (int i = 0; first + i * step <= a->max + step * 1e-9; i++)
            tick(to, a, first + i * step, horizontal);
        return;
    }
    const bool few = a->max - a->min < 1.3;             // little more than a decade: 2 and 5 as well
    static const double marks[] = {1, 2, 5};
    for (int e = (int)floor(a->min); e <= a->max; e++)
        for (size_t i = 0; i < (few ? ARRAY_LEN(marks) : 1); i++) {
            const double v = marks[i] * pow(10, e);
            if (log10(v) >= a->min - 1e-9 && log10(v) <= a->max + 1e-9)
                tick(to, a, v, horizontal);
        }
}

static void frame(const struct plot *p, FILE *to, const struct axis *x, const struct axis *y)
{
    fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
        "font-family=\"Helvetica, Arial, sans-serif\">\n"
        "<style>.grid{stroke:#e3e3e3;stroke-width:1}.tick{font-size:12px;fill:#555}.label{font-size:13px;fill:#222}"
        ".title{font-size:17px;font-weight:bold;fill:#111}.sub{font-size:12.5px;fill:#555}</style>\n"
        "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT);
    text(to, LEFT, 26, "start", "class=\"title\"", p->title);
    text(to, LEFT, 46, "start", "class=\"sub\"", p->subtitle != NULL ? p->subtitle : "");
    ticks(to, y, false);
    if (p->categories == NULL)
        ticks(to, x, true);
    for (uint32_t i = 0; p->categories != NULL && i < p->categories_n; i++)
        text(to, place(x, i), HEIGHT - BOTTOM + 18, "middle", "class=\"tick\"", p->categories[i]);
    fprintf(to, "<path d=\"M%d %d V%d H%d\" fill=\"none\" stroke=\"#333\" stroke-width=\"1.2\"/>\n", LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
    text(to, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 14, "middle", "class=\"label\"", p->x_label);
    char turned[96];
    snprintf(turned, sizeof turned, "class=\"label\" transform=\"rotate(-90 20 %d)\"", (TOP + HEIGHT - BOTTOM) / 2);
    text(to, 20, (TOP + HEIGHT - BOTTOM) / 2.0, "middle", turned, p->y_label);
}

static void error_bars(const struct series *s, FILE *to, const char *color, const struct axis *x, const struct axis *y, double shift)
{
    for (uint32_t i = 0; s->low != NULL && s->high != NULL && i < s->n; i++) {
        const double at = place(x, s->x[i]) + shift, a = place(y, s->low[i]), b = place(y, s->high[i]);
        fprintf(to, "<path d=\"M%.1f %.1f V%.1f M%.1f %.1f h8 M%.1f %.1f h8\" stroke=\"%s\" stroke-width=\"1.3\" fill=\"none\"/>\n", at, a, b,
            at - 4, a, at - 4, b, s->kind == SERIES_BARS ? "#222222" : color);
    }
}

static void draw_bars(const struct plot *p, uint32_t index, FILE *to, const struct axis *x, const struct axis *y)
{
    uint32_t bars = 0, mine = 0;
    for (uint32_t i = 0; i < p->series_n; i++) {
        if (i == index)
            mine = bars;
        bars += p->series[i].kind == SERIES_BARS;
    }
    const struct series *s = &p->series[index];
    const double slot = (place(x, 1) - place(x, 0)) * 0.76, width = slot / bars;
    for (uint32_t i = 0; i < s->n; i++) {
        const double top = place(y, s->y[i]), left = place(x, s->x[i]) - slot / 2 + width * mine;
        fprintf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", left, top, width * 0.92,
            fmax(0, HEIGHT - BOTTOM - top), color_of(p, index));
    }
    error_bars(s, to, color_of(p, index), x, y, -slot / 2 + width * (mine + 0.46));
}

static void draw(const struct plot *p, uint32_t index, FILE *to, const struct axis *x, const struct axis *y)
{
    const struct series *s = &p->series[index];
    const char *color = color_of(p, index);
    if (s->kind == SERIES_BARS) {
        draw_bars(p, index, to, x, y);
        return;
    }
    if (s->kind != SERIES_POINTS && s->n > 0) {
        fprintf(to, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"%s\"%s stroke-linejoin=\"round\" d=\"", color,
            s->kind == SERIES_DASHED ? "1.6" : "2.2", s->kind == SERIES_DASHED ? " stroke-dasharray=\"6 4\"" : "");
        bool on = false;
        for (uint32_t i = 0; i < s->n; i++) {
            if (isfinite(s->y[i]))
                fprintf(to, "%s%.1f %.1f", on ? " L" : "M", place(x, s->x[i]), place(y, s->y[i]));
            on = isfinite(s->y[i]);
        }
        fputs("\"/>\n", to);
    }
    if (s->kind == SERIES_POINTS || s->kind == SERIES_LINE_POINTS)
        for (uint32_t i = 0; i < s->n; i++)
            if (isfinite(s->y[i]))
                fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.6\" fill=\"%s\"/>\n", place(x, s->x[i]), place(y, s->y[i]), color);
    error_bars(s, to, color, x, y, 0);
}

// How crowded a corner of the drawing is: points of series in it.
static uint32_t crowd(const struct plot *p, const struct axis *x, const struct axis *y, double left, double top, double width, double height)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->series_n; i++)
        for (uint32_t k = 0; k < p->series[i].n; k++) {
            const double px = place(x, p->series[i].x[k]), py = place(y, p->series[i].y[k]);
            const bool tall = p->series[i].kind == SERIES_BARS && py < top + height;
            n += px >= left - 30 && px <= left + width + 30 && (tall || (py >= top - 8 && py <= top + height + 8));
        }
    return n;
}

static void legend(const struct plot *p, FILE *to, const struct axis *x, const struct axis *y)
{
    size_t longest = 0;
    for (uint32_t i = 0; i < p->series_n; i++)
        longest = p->series[i].name != NULL && strlen(p->series[i].name) > longest ? strlen(p->series[i].name) : longest;
    const double width = 46 + 6.6 * (double)longest, height = LEGEND_STEP * p->series_n + 10;
    const double lefts[] = {LEFT + 12, WIDTH - RIGHT - width - 8}, tops[] = {TOP + 6, HEIGHT - BOTTOM - height - 10};
    double left = lefts[0], top = tops[0];
    uint32_t best = UINT32_MAX;
    for (size_t i = 0; i < 4; i++) {
        const uint32_t n = crowd(p, x, y, lefts[i % 2], tops[i / 2], width, height);
        if (n < best) {
            best = n;
            left = lefts[i % 2];
            top = tops[i / 2];
        }
    }
    fprintf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"4\" fill=\"#ffffff\" fill-opacity=\"0.85\" stroke=\"#dddddd\"/>\n",
        left, top, width, height);
    for (uint32_t i = 0; i < p->series_n; i++) {
        const struct series *s = &p->series[i];
        const double at = top + 5 + LEGEND_STEP * (i + 0.5);
        if (s->kind == SERIES_BARS)
            fprintf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"22\" height=\"11\" fill=\"%s\"/>\n", left + 8, at - 6, color_of(p, i));
        else if (s->kind != SERIES_POINTS)
            fprintf(to, "<path d=\"M%.1f %.1f h22\" stroke=\"%s\" stroke-width=\"2.2\"%s/>\n", left + 8, at, color_of(p, i),
                s->kind == SERIES_DASHED ? " stroke-dasharray=\"6 4\"" : "");
        if (s->kind == SERIES_POINTS || s->kind == SERIES_LINE_POINTS)
            fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.6\" fill=\"%s\"/>\n", left + 19, at, color_of(p, i));
        text(to, left + 38, at + 4, "start", "class=\"tick\"", s->name != NULL ? s->name : "");
    }
}

void plot_write(const struct plot *p, FILE *to)
{
    struct axis x, y;
    fit(p, &x, &y);
    frame(p, to, &x, &y);
    for (uint32_t i = 0; i < p->series_n; i++)
        draw(p, i, to, &x, &y);
    if (p->series_n > 1)
        legend(p, to, &x, &y);
    fputs("</svg>\n", to);
}
