/*
 * Writing rows as CSV. Whole numbers only, so that the same input gives the same bytes everywhere.
 */
#include "tool/sim_row.h"

#include <weir/dependency.h>

#include <string.h>

enum { ROW_BYTES = 640 }; /* two names of 64, eleven numbers of at most 28, a few words */

struct text {
    char bytes[ROW_BYTES];
    size_t length;
};

static void put_text(struct text *text, const char *word)
{
    const size_t length = strlen(word);

    if (length <= sizeof(text->bytes) - text->length) {
        memcpy(text->bytes + text->length, word, length);
        text->length += length;
    }
}

/* At least `width` digits, zeroes in front. */
static void put_number(struct text *text, uint64_t value, unsigned int width)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || sizeof(digits) - 1 - at < width);
    put_text(text, digits + at);
}

/* value / 10^decimals, all decimals shown. */
static void put_fraction(struct text *text, uint64_t value, uint64_t scale, unsigned int decimals)
{
    put_number(text, value / scale, 1);
    put_text(text, ".");
    put_number(text, value % scale, decimals);
}

static void put_ms(struct text *text, uint64_t ns)
{
    put_fraction(text, ns, 1000000, 6);
}

/* In percent, rounded half up. */
static void put_share(struct text *text, uint64_t part, uint64_t calls)
{
    put_fraction(text, (part * 20000 + calls) / (2 * calls), 100, 2);
}

static void put_breaker(struct text *text, const struct wr_view *view)
{
    static const char *const names[] = {
        [WEIR_BREAKER_NONE] = "-",
        [WEIR_BREAKER_CLOSED] = "closed",
        [WEIR_BREAKER_OPEN] = "open",
        [WEIR_BREAKER_HALF_OPEN] = "half-open",
        [WEIR_BREAKER_FORCED_OPEN] = "forced-open",
        [WEIR_BREAKER_FORCED_CLOSED] = "forced-closed",
        [WEIR_BREAKER_OBSERVE] = "observe",
    };
    const struct wr_window_sum *const sum = &view->window;

    if (!view->breaker_on) {
        put_text(text, "-,-,-,-,-,-");
        return;
    }
    put_text(text, names[view->breaker]);
    put_text(text, ",");
    put_number(text, sum->calls, 1);
    put_text(text, ",");
    put_number(text, sum->failures, 1);
    put_text(text, ",");
    put_number(text, sum->slow, 1);
    if (sum->calls == 0 || sum->calls < view->minimum_calls) {
        put_text(text, ",-,-");
        return;
    }
    put_text(text, ",");
    put_share(text, sum->failures, sum->calls);
    put_text(text, ",");
    put_share(text, sum->slow, sum->calls);
}

static void put_what(struct text *text, const struct wr_sim_row *row)
{
    put_ms(text, row->now_ns);
    put_text(text, ",");
    put_text(text, row->dependency);
    put_text(text, ",");
    put_text(text, row->event);
    put_text(text, ",");
    if (row->name != NULL) {
        put_text(text, row->name);
    } else if (row->id != 0) {
        put_number(text, row->id, 1);
    } else {
        put_text(text, "-");
    }
    put_text(text, ",");
    put_text(text, row->verdict);
    put_text(text, ",");
    put_text(text, row->reason);
    put_text(text, ",");
    if (row->retry_after_ns != 0) {
        put_ms(text, row->retry_after_ns);
    } else {
        put_text(text, "-");
    }
}

bool wr_sim_row_header(FILE *out)
{
    return fputs("time_ms,dependency,event,id,verdict,reason,retry_after_ms,breaker,calls,"
                 "failures,slow,failure_rate,slow_rate,in_flight,queued,tokens\n",
                 out) >= 0;
}

bool wr_sim_row_write(FILE *out, const struct wr_sim_row *row)
{
    struct text text;

    text.length = 0;
    put_what(&text, row);
    put_text(&text, ",");
    put_breaker(&text, &row->view);
    put_text(&text, ",");
    put_number(&text, row->view.in_flight, 1);
    put_text(&text, ",");
    put_number(&text, row->view.queued, 1);
    put_text(&text, ",");
    if (row->view.rate_on) {
        put_number(&text, row->view.tokens, 1);
    } else {
        put_text(&text, "-");
    }
    put_text(&text, "\n");
    return fwrite(text.bytes, 1, text.length, out) == text.length;
}
