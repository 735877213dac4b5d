/*
 * The plain test runner behind harness.h: tests register themselves before main(), main() runs
 * them in that order in this one process and counts. A failed assert leaves its test by longjmp,
 * so what the test had allocated leaks; the program has failed by then. A crash ends the run: the
 * last line printed names the test.
 */
#include "support/harness.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Main thread only; tests run one after the other. */
static struct harness_test *first;
static struct harness_test **last = &first;
static jmp_buf leave_test;
static bool current_failed;

void harness_add(struct harness_test *test)
{
    *last = test;
    last = &test->next;
}

void harness_fail(const char *file, int line, bool leave, const char *what, const char *message,
                  ...)
{
    current_failed = true;
    printf("%s:%d: %s", file, line, what);
    if (message != NULL && message[0] != '\0') {
        va_list arguments;

        fputs(": ", stdout);
        va_start(arguments, message);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* a literal, two macros up */
        vprintf(message, arguments);
#pragma GCC diagnostic pop
        va_end(arguments);
    }
    putchar('\n');
    if (leave) {
        longjmp(leave_test, 1);
    }
}

static bool run_test(const struct harness_test *test)
{
    current_failed = false;
    printf("[ RUN  ] %s/%s\n", test->suite, test->name);
    fflush(stdout);
    if (setjmp(leave_test) == 0) {
        if (test->init != NULL) {
            test->init();
        }
        test->body();
    }
    if (setjmp(leave_test) == 0 && test->fini != NULL) {
        test->fini();
    }
    printf("[ %s ] %s/%s\n", current_failed ? "FAIL" : "PASS", test->suite, test->name);
    return !current_failed;
}

static bool is_wanted(const struct harness_test *test, const char *filter)
{
    char path[512];

    if (test->disabled) {
        return false;
    }
    snprintf(path, sizeof(path), "%s/%s", test->suite, test->name);
    return filter == NULL || fnmatch(filter, path, 0) == 0;
}

/* Understands `--filter P` and `--filter=P`; returns false for anything else. */
static bool read_arguments(int argc, char **argv, const char **ret_filter)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc) {
            *ret_filter = argv[++i];
        } else if (strncmp(argv[i], "--filter=", 9) == 0) {
            *ret_filter = argv[i] + 9;
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *filter = NULL;
    unsigned passed = 0;
    unsigned failed = 0;

    if (!read_arguments(argc, argv, &filter)) {
        fprintf(stderr, "usage: %s [--filter 'suite/name*']\n", argv[0]);
        return 2;
    }
    for (const struct harness_test *test = first; test != NULL; test = test->next) {
        if (!is_wanted(test, filter)) {
            continue;
        }
        if (run_test(test)) {
            passed++;
        } else {
            failed++;
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    /* A program whose filter matches nothing proves nothing. */
    return failed == 0 && passed > 0 ? 0 : 1;
}
