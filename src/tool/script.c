/*
 * Reading the simulator's script. See script.h.
 */
#include "tool/script.h"

#include "base/fail.h"
#include "base/text.h"
#include "tool/script_words.h"

#include <weir/dependency.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ID_MAX = 64, COUNT_MAX = 1000000 };

/* 114 years: any sum of a time, a duration and a wait fits. */
static const uint64_t time_max_ns = 1000000ULL * 3600ULL * 1000000000ULL;

static const char *const verbs[] = {"call", "begin", "end", "ask", "force", "set"};
static const char *const outcomes[] = {"ok", "fail", "timeout", "ignore", "cancel", "crash"};
static const weir_status outcome_status[] = {WEIR_OK,      WEIR_FAILED,    WEIR_TIMED_OUT,
                                             WEIR_IGNORED, WEIR_CANCELLED, WEIR_CRASHED};
static const char *const overrides[] = {"auto", "open", "closed", "observe"};
static const int32_t override_values[] = {WEIR_FORCE_AUTO, WEIR_FORCE_OPEN, WEIR_FORCE_CLOSED,
                                          WEIR_FORCE_OBSERVE};
static const char *const option_names[] = {"took", "cost", "key", "priority", "xN"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

void wr_script_start(struct wr_script *script, const char *name, const char *text, size_t length)
{
    memset(script, 0, sizeof(*script));
    script->name = name;
    script->text = text;
    script->length = length;
}

weir_status wr_script_fail(const struct wr_script *script, weir_error *error, const char *format,
                           ...)
{
    char message[384];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    (void)wr_fail(error, WEIR_E_CONFIG, "%s", message);
    (void)wr_fail_at(error, script->name,
                     script->number > UINT32_MAX ? UINT32_MAX : (uint32_t)script->number, 0);
    return WEIR_E_CONFIG;
}

weir_status wr_script_unknown(const struct wr_script *script, weir_error *error, const char *what,
                              const char *word, const char *const *names, size_t count)
{
    const char *const nearest = wr_text_nearest(word, names, count);
    char list[200] = "";
    size_t length = 0;

    if (nearest != NULL) {
        return wr_script_fail(script, error, "unknown %s \"%.64s\": did you mean %s?", what, word,
                              nearest);
    }
    for (size_t i = 0; i < count && length < sizeof(list); ++i) {
        length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s", i > 0 ? ", " : "",
                                   names[i]);
    }
    return wr_script_fail(script, error, "unknown %s \"%.64s\": give one of %s", what, word,
                          count > 0 ? list : "(there are none)");
}

/* Index of `word` among `names`, or `count`. */
static size_t index_of(const char *word, const char *const *names, size_t count)
{
    size_t i = 0;

    while (i < count && strcmp(word, names[i]) != 0) {
        ++i;
    }
    return i;
}

static weir_status take_outcome(const struct wr_script *script, struct wr_words *words,
                                weir_status *ret_outcome, weir_error *error)
{
    const char *const word = wr_words_take(words);
    size_t index;

    if (word == NULL) {
        return wr_script_fail(script, error,
                              "no outcome: add ok, fail, timeout, ignore, cancel or crash");
    }
    index = index_of(word, outcomes, COUNT_OF(outcomes));
    if (index == COUNT_OF(outcomes)) {
        return wr_script_unknown(script, error, "outcome", word, outcomes, COUNT_OF(outcomes));
    }
    *ret_outcome = outcome_status[index];
    return WEIR_OK;
}

static weir_status take_id(const struct wr_script *script, struct wr_words *words,
                           const char **ret_id, weir_error *error)
{
    const char *const word = wr_words_take(words);

    if (word == NULL) {
        return wr_script_fail(script, error, "no name of the permit: write e.g. begin a");
    }
    if (strlen(word) > ID_MAX ||
        strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") !=
            strlen(word)) {
        return wr_script_fail(script, error,
                              "\"%.64s\" cannot name a permit: use 1 to %d of A-Z a-z 0-9 _ . -",
                              word, ID_MAX);
    }
    *ret_id = word;
    return WEIR_OK;
}

/* ---- options ---- */

/* FNV-1a; never 0. */
static uint64_t hash_of(const char *word)
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    for (; *word != '\0'; ++word) {
        hash = (hash ^ (unsigned char)*word) * 0x100000001b3ULL;
    }
    return hash != 0 ? hash : 1;
}

static weir_status take_times(const struct wr_script *script, const char *digits,
                              uint64_t *ret_count, weir_error *error)
{
    uint64_t count = 0;

    if (!wr_text_count(digits, &count) || count == 0 || count > COUNT_MAX) {
        return wr_script_fail(script, error, "x%.64s: give x1 to x%d", digits, COUNT_MAX);
    }
    *ret_count = count;
    return WEIR_OK;
}

static weir_status take_option_value(const struct wr_script *script, const char *option,
                                     const char *value, struct wr_line *line, weir_error *error)
{
    uint64_t number = 0;

    if (value == NULL) {
        return wr_script_fail(script, error, "%s has no value: write it behind", option);
    }
    if (strcmp(option, "took") == 0) {
        if (!wr_text_duration(value, &number) || number > time_max_ns) {
            return wr_script_fail(script, error,
                                  "took \"%.64s\": give a duration with its unit, e.g. 5ms", value);
        }
        line->took_ns = number;
    } else if (strcmp(option, "cost") == 0) {
        if (!wr_text_count(value, &number) || number == 0) {
            return wr_script_fail(script, error, "cost \"%.64s\": give a whole number from 1 on",
                                  value);
        }
        line->cost = number;
    } else if (strcmp(option, "priority") == 0) {
        if (!wr_text_count(value, &number) || number > UINT32_MAX) {
            return wr_script_fail(script, error, "priority \"%.64s\": give a whole number", value);
        }
        line->priority = (uint32_t)number;
    } else {
        line->key = hash_of(value);
    }
    return WEIR_OK;
}

/* Everything behind the verb's own words. */
static weir_status take_options(const struct wr_script *script, struct wr_words *words,
                                struct wr_line *line, weir_error *error)
{
    const size_t times = COUNT_OF(option_names) - 1;
    unsigned int seen = 0;
    const char *word;

    while ((word = wr_words_take(words)) != NULL) {
        const bool is_times = word[0] == 'x' && word[1] >= '0' && word[1] <= '9';
        const size_t index = is_times ? times : index_of(word, option_names, times);
        weir_status status;

        if (index == times && !is_times) {
            return wr_script_unknown(script, error, "word", word, option_names,
                                     COUNT_OF(option_names));
        }
        if ((index == 0 || index == times) && line->verb != WR_VERB_CALL) {
            return wr_script_fail(script, error, "%s goes with call only: remove it", word);
        }
        if ((seen >> index & 1U) != 0) {
            return wr_script_fail(script, error, "%s is given twice: remove one",
                                  option_names[index]);
        }
        seen |= 1U << index;
        status = is_times ? take_times(script, word + 1, &line->count, error)
                          : take_option_value(script, word, wr_words_take(words), line, error);
        if (status != WEIR_OK) {
            return status;
        }
    }
    return WEIR_OK;
}

/* ---- verbs ---- */

static weir_status take_force(const struct wr_script *script, struct wr_words *words,
                              struct wr_line *line, weir_error *error)
{
    const char *const word = wr_words_take(words);
    size_t index;

    if (word == NULL) {
        return wr_script_fail(script, error, "force what: write open, closed, observe or auto");
    }
    index = index_of(word, overrides, COUNT_OF(overrides));
    if (index == COUNT_OF(overrides)) {
        return wr_script_unknown(script, error, "override", word, overrides, COUNT_OF(overrides));
    }
    line->override = override_values[index];
    line->word = overrides[index];
    return WEIR_OK;
}

static weir_status take_set(const struct wr_script *script, struct wr_words *words,
                            struct wr_line *line, weir_error *error)
{
    line->word = wr_words_take(words);
    line->value = wr_words_take(words);
    if (line->value == NULL) {
        return wr_script_fail(script, error,
                              "set needs a key and a value: write e.g. set breaker.open_for 2s");
    }
    return WEIR_OK;
}

/* The words behind the verb. */
static weir_status take_arguments(const struct wr_script *script, struct wr_words *words,
                                  struct wr_line *line, weir_error *error)
{
    weir_status status = WEIR_OK;

    switch (line->verb) {
    case WR_VERB_CALL:
        status = take_outcome(script, words, &line->outcome, error);
        return status == WEIR_OK ? take_options(script, words, line, error) : status;
    case WR_VERB_BEGIN:
        status = take_id(script, words, &line->id, error);
        return status == WEIR_OK ? take_options(script, words, line, error) : status;
    case WR_VERB_ASK:
        return take_options(script, words, line, error);
    case WR_VERB_END:
        status = take_id(script, words, &line->id, error);
        return status == WEIR_OK ? take_outcome(script, words, &line->outcome, error) : status;
    case WR_VERB_FORCE:
        return take_force(script, words, line, error);
    case WR_VERB_SET:
    default:
        return take_set(script, words, line, error);
    }
}

static weir_status take_time(struct wr_script *script, const char *word, uint64_t *ret_at_ns,
                             weir_error *error)
{
    uint64_t at_ns = 0;

    if (!wr_text_duration(word, &at_ns) || at_ns > time_max_ns) {
        return wr_script_fail(script, error,
                              "\"%.64s\" is no time: give one with its unit, e.g. 100ms", word);
    }
    if (at_ns < script->last_ns) {
        return wr_script_fail(script, error,
                              "%.64s is before the time of an earlier line: times never go back",
                              word);
    }
    script->last_ns = at_ns;
    *ret_at_ns = at_ns;
    return WEIR_OK;
}

static weir_status parse(struct wr_script *script, struct wr_words *words, struct wr_line *line,
                         weir_error *error)
{
    const char *verb;
    const char *rest;
    size_t index;
    weir_status status = take_time(script, wr_words_take(words), &line->at_ns, error);

    if (status != WEIR_OK) {
        return status;
    }
    line->dependency = wr_words_take(words);
    verb = wr_words_take(words);
    if (verb == NULL) {
        return wr_script_fail(script, error, "too few words: write TIME DEPENDENCY VERB ...");
    }
    index = index_of(verb, verbs, COUNT_OF(verbs));
    if (index == COUNT_OF(verbs)) {
        return wr_script_unknown(script, error, "verb", verb, verbs, COUNT_OF(verbs));
    }
    line->verb = (enum wr_verb)index;
    status = take_arguments(script, words, line, error);
    rest = wr_words_take(words);
    if (status == WEIR_OK && rest != NULL) {
        return wr_script_fail(script, error, "\"%.64s\" is one word too many: remove it", rest);
    }
    return status;
}

/* ---- lines ---- */

/* Copy the next line without its comment to the buffer; *ret_line is its text. */
static weir_status copy_line(struct wr_script *script, weir_error *error)
{
    const char *const line = script->text + script->offset;
    const size_t left = script->length - script->offset;
    const char *const newline = memchr(line, '\n', left);
    const size_t whole = newline != NULL ? (size_t)(newline - line) : left;
    const char *const comment = memchr(line, '#', whole);
    size_t length = comment != NULL ? (size_t)(comment - line) : whole;

    script->offset += newline != NULL ? whole + 1 : whole;
    ++script->number;
    while (length > 0 && wr_is_blank(line[length - 1])) {
        --length;
    }
    if (length >= sizeof(script->buffer)) {
        return wr_script_fail(script, error, "longer than %d bytes: shorten it",
                              WR_SCRIPT_LINE_MAX - 1);
    }
    for (size_t i = 0; i < length; ++i) {
        if (!wr_is_blank(line[i]) && (line[i] < '!' || line[i] > '~')) {
            return wr_script_fail(script, error, "byte 0x%02x: outside comments use plain ASCII",
                                  (unsigned int)(unsigned char)line[i]);
        }
    }
    memcpy(script->buffer, line, length);
    script->buffer[length] = '\0';
    return WEIR_OK;
}

weir_status wr_script_next(struct wr_script *script, struct wr_line *ret_line, bool *ret_more,
                           weir_error *error)
{
    while (script->offset < script->length) {
        struct wr_line line = {.cost = 1, .count = 1};
        struct wr_words words;
        weir_status status = copy_line(script, error);

        if (status != WEIR_OK) {
            return status;
        }
        if (!wr_words_split(script->buffer, &words)) {
            return wr_script_fail(script, error, "too many words: one event a line");
        }
        if (words.count == 0) {
            continue;
        }
        line.number = script->number;
        status = parse(script, &words, &line, error);
        if (status == WEIR_OK) {
            *ret_line = line;
            *ret_more = true;
        }
        return status;
    }
    *ret_more = false;
    return WEIR_OK;
}
