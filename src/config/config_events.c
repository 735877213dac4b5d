/*
 * libyaml's events, narrowed to the subset. See config_events.h.
 */
#include "config/config_events.h"

#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct wr_place place_of(yaml_mark_t mark)
{
    /* At most 1 MiB is read, so neither can overflow. */
    return (struct wr_place){.line = (uint32_t)mark.line + 1, .column = (uint32_t)mark.column + 1};
}

/* The place of a byte. libyaml's reader knows offsets only. */
static struct wr_place place_of_byte(const struct wr_events *events, size_t offset)
{
    struct wr_place at = {1, 1};

    for (size_t i = 0; i < offset && i < events->length; ++i) {
        const unsigned char byte = (unsigned char)events->text[i];

        if (byte == '\n') {
            ++at.line;
            at.column = 1;
        } else if ((byte & 0xC0U) != 0x80U) {
            ++at.column;
        }
    }
    return at;
}

weir_status wr_events_fail(const struct wr_events *events, struct wr_place at, const char *format,
                           ...)
{
    char message[sizeof(events->error->message)];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    (void)wr_fail(events->error, WEIR_E_CONFIG, "%s", message);
    return wr_fail_at(events->error, events->name, at.line, at.column);
}

weir_status wr_events_open(struct wr_events *events, const char *name, const char *text,
                           size_t length, weir_error *error)
{
    memset(events, 0, sizeof(*events));
    events->name = name;
    events->text = text;
    events->length = length;
    events->error = error;
    if (yaml_parser_initialize(&events->parser) == 0) {
        return wr_fail(error, WEIR_E_MEMORY, "out of memory while reading %s", name);
    }
    yaml_parser_set_encoding(&events->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&events->parser, (const unsigned char *)text, length);
    return WEIR_OK;
}

void wr_events_close(struct wr_events *events)
{
    if (events->holds_event) {
        yaml_event_delete(&events->event);
    }
    yaml_parser_delete(&events->parser);
}

/* What libyaml found wrong. */
static weir_status not_yaml(const struct wr_events *events)
{
    const yaml_parser_t *const parser = &events->parser;
    const char *const problem = parser->problem != NULL ? parser->problem : "cannot be read";
    struct wr_place at;

    if (parser->error == YAML_MEMORY_ERROR) {
        return wr_fail(events->error, WEIR_E_MEMORY, "out of memory while reading %s",
                       events->name);
    }
    if (parser->error == YAML_READER_ERROR) {
        at = place_of_byte(events, parser->problem_offset);
        return wr_events_fail(events, at, "%s: write plain UTF-8 text", problem);
    }
    at = place_of(parser->problem_mark);
    return wr_events_fail(events, at, "%s%s%s: check quotes, braces and indentation (spaces only)",
                          problem, parser->context != NULL ? " " : "",
                          parser->context != NULL ? parser->context : "");
}

static weir_status check_node(const struct wr_events *events, struct wr_place at,
                              const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL) {
        return wr_events_fail(events, at, "anchors are not allowed: write the value out");
    }
    if (tag != NULL) {
        return wr_events_fail(events, at, "tags are not allowed: remove it, values are texts");
    }
    return WEIR_OK;
}

static weir_status take_scalar(const struct wr_events *events, struct wr_event *ret_event)
{
    const yaml_event_t *const event = &events->event;
    const char *const text = (const char *)event->data.scalar.value;
    const yaml_scalar_style_t style = event->data.scalar.style;
    const struct wr_place at = place_of(event->start_mark);
    const weir_status status =
        check_node(events, at, event->data.scalar.anchor, event->data.scalar.tag);

    if (status != WEIR_OK) {
        return status;
    }
    if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE) {
        return wr_events_fail(events, at,
                              "block texts (| and >) are not allowed: write the value "
                              "on the line of its key");
    }
    if (event->start_mark.line != event->end_mark.line) {
        return wr_events_fail(events, at,
                              "this text goes on in the next line: write it on one "
                              "line, and check the indentation of the next");
    }
    if (strlen(text) != event->data.scalar.length) {
        return wr_events_fail(events, at, "a NUL character is in this text: remove it");
    }
    *ret_event = (struct wr_event){.kind = WR_EVENT_SCALAR,
                                   .at = at,
                                   .text = text,
                                   .absent = style == YAML_PLAIN_SCALAR_STYLE && *text == '\0'};
    return WEIR_OK;
}

static weir_status take_mapping(struct wr_events *events, struct wr_event *ret_event)
{
    const yaml_event_t *const event = &events->event;
    const struct wr_place at = place_of(event->start_mark);
    const weir_status status =
        check_node(events, at, event->data.mapping_start.anchor, event->data.mapping_start.tag);

    if (status != WEIR_OK) {
        return status;
    }
    if (events->depth == WR_CONFIG_DEPTH) {
        return wr_events_fail(events, at, "mappings are nested deeper than %d: no setting is",
                              WR_CONFIG_DEPTH);
    }
    ++events->depth;
    *ret_event = (struct wr_event){.kind = WR_EVENT_BEGIN, .at = at};
    return WEIR_OK;
}

/* True if the event is one to pass on or to fail for; false: it carries nothing. */
static bool take(struct wr_events *events, struct wr_event *ret_event, weir_status *ret_status)
{
    const yaml_event_t *const event = &events->event;
    const struct wr_place at = place_of(event->start_mark);

    switch (event->type) {
    case YAML_SCALAR_EVENT:
        *ret_status = take_scalar(events, ret_event);
        return true;
    case YAML_MAPPING_START_EVENT:
        *ret_status = take_mapping(events, ret_event);
        return true;
    case YAML_MAPPING_END_EVENT:
        --events->depth;
        *ret_event = (struct wr_event){.kind = WR_EVENT_END, .at = at};
        return true;
    case YAML_STREAM_END_EVENT:
        *ret_event = (struct wr_event){.kind = WR_EVENT_FINISH, .at = at};
        return true;
    case YAML_SEQUENCE_START_EVENT:
        *ret_status = wr_events_fail(events, at, "lists are not allowed: write `key: value` pairs");
        return true;
    case YAML_ALIAS_EVENT:
        *ret_status = wr_events_fail(events, at,
                                     "aliases are not allowed: write the value out, or "
                                     "put what is common under defaults");
        return true;
    case YAML_DOCUMENT_START_EVENT:
        if (event->data.document_start.version_directive != NULL ||
            event->data.document_start.tag_directives.start !=
                event->data.document_start.tag_directives.end) {
            *ret_status = wr_events_fail(events, at, "directives (%%) are not allowed: remove it");
            return true;
        }
        return false;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
    default:
        return false;
    }
}

weir_status wr_events_next(struct wr_events *events, struct wr_event *ret_event)
{
    weir_status status = WEIR_OK;

    do {
        if (events->holds_event) {
            yaml_event_delete(&events->event);
            events->holds_event = false;
        }
        if (yaml_parser_parse(&events->parser, &events->event) == 0) {
            return not_yaml(events);
        }
        events->holds_event = true;
    } while (!take(events, ret_event, &status));
    return status;
}
