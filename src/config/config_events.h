/*
 * The strict subset of YAML, as a stream of events: one document of mappings and scalars, nothing
 * else. The only user of libyaml.
 *
 * Refused here, each with its place: sequences, anchors, aliases, tags, directives, a second
 * document, texts of several lines (| and > too), mappings deeper than 6, NUL bytes, bytes that are
 * no UTF-8, and whatever libyaml does not take for YAML. Scalars are texts, quoted or plain.
 */
#ifndef WR_CONFIG_CONFIG_EVENTS_H
#define WR_CONFIG_CONFIG_EVENTS_H

#include <weir/base.h>

#include <stdbool.h>
#include <yaml.h>

enum { WR_CONFIG_DEPTH = 6 };

/* In the file; both count from 1, columns in characters. */
struct wr_place {
    uint32_t line, column;
};

enum wr_event_kind { WR_EVENT_SCALAR, WR_EVENT_BEGIN, WR_EVENT_END, WR_EVENT_FINISH };

struct wr_event {
    enum wr_event_kind kind; /* BEGIN and END are of a mapping; FINISH: the file is over */
    struct wr_place at;
    const char *text; /* of a scalar; borrowed until the next event */
    bool absent;      /* a scalar that was not written at all, as in `timeout:` */
};

struct wr_events {
    yaml_parser_t parser;
    yaml_event_t event;
    bool holds_event; /* `event` must be deleted */
    unsigned int depth;
    const char *name; /* of the file, for messages */
    const char *text;
    size_t length;
    weir_error *error;
};

/* Begin. `name`, `text` and `error` are borrowed until wr_events_close(). */
weir_status wr_events_open(struct wr_events *events, const char *name, const char *text,
                           size_t length, weir_error *error);

/* The next event. A failure is final. */
weir_status wr_events_next(struct wr_events *events, struct wr_event *ret_event);

/* Free what libyaml holds; only after a successful open. */
void wr_events_close(struct wr_events *events);

/* WEIR_E_CONFIG at a place of the file. */
__attribute__((format(printf, 3, 4))) weir_status wr_events_fail(const struct wr_events *events,
                                                                 struct wr_place at,
                                                                 const char *format, ...);

#endif
