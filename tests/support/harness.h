/*
 * One source, two test runners. With WEIR_HARNESS_CRITERION this is Criterion; without, the runner
 * of harness.c: every Test() of the program in one process, one after the other, which is what
 * the sanitizers need (Criterion's forked children do not start under ThreadSanitizer and lose
 * LeakSanitizer's exit code).
 *
 * Both understand `--filter 'suite/name*'`. The plain runner also ends with the line
 * `N passed, N failed`. Asserts leave the test at once and belong in the test's own thread;
 * cr_expect notes the failure and goes on. A message is a string literal in printf's form.
 */
#ifndef WEIR_TESTS_HARNESS_H
#define WEIR_TESTS_HARNESS_H

#ifdef WEIR_HARNESS_CRITERION

#    include <criterion/criterion.h>

#else

#    include <math.h>
#    include <stdbool.h>
#    include <stddef.h>
#    include <string.h>

/* The members named like Criterion's are the ones a test may set: Test(suite, name, .init = f). */
struct harness_test {
    const char *suite;
    const char *name;
    void (*body)(void);
    struct harness_test *next;
    void (*init)(void);
    void (*fini)(void);
    bool disabled;
    double timeout; /* Criterion's business: in one process nothing can end a test from outside */
    int sentinel_;
};

void harness_add(struct harness_test *test);
/* Notes a failure; with `leave` it does not return. `message` may be NULL. */
void harness_fail(const char *file, int line, bool leave, const char *what, const char *message,
                  ...);

/* The trailing sentinel keeps `...` from ever being empty, which ISO C asks for. */
#    define Test(...) HARNESS_TEST_(__VA_ARGS__, .sentinel_ = 0)
#    define HARNESS_TEST_(suite_, name_, ...)                                                \
        static void suite_##_##name_##_body(void);                                           \
        static struct harness_test suite_##_##name_##_test = {                               \
            .suite = #suite_, .name = #name_, .body = suite_##_##name_##_body, __VA_ARGS__}; \
        __attribute__((constructor)) static void suite_##_##name_##_register(void)           \
        {                                                                                    \
            harness_add(&suite_##_##name_##_test);                                           \
        }                                                                                    \
        static void suite_##_##name_##_body(void)

/* HARNESS_*_(leave, text, a, b, message..., NULL): the NULL stands for "no message" or is ignored.
 */
#    define HARNESS_CHECK_(leave, text, holds, ...)                         \
        do {                                                                \
            if (!(holds)) {                                                 \
                harness_fail(__FILE__, __LINE__, leave, text, __VA_ARGS__); \
            }                                                               \
        } while (0)
#    define HARNESS_TRUE_(leave, text, a, ...)  HARNESS_CHECK_(leave, text, a, __VA_ARGS__)
#    define HARNESS_FALSE_(leave, text, a, ...) HARNESS_CHECK_(leave, text, !(a), __VA_ARGS__)
#    define HARNESS_NULL_(leave, text, a, ...)  HARNESS_CHECK_(leave, text, (a) == NULL, __VA_ARGS__)
#    define HARNESS_NOT_NULL_(leave, text, a, ...) \
        HARNESS_CHECK_(leave, text, (a) != NULL, __VA_ARGS__)
#    define HARNESS_EQ_(leave, text, a, b, ...) HARNESS_CHECK_(leave, text, (a) == (b), __VA_ARGS__)
#    define HARNESS_NEQ_(leave, text, a, b, ...) \
        HARNESS_CHECK_(leave, text, (a) != (b), __VA_ARGS__)
#    define HARNESS_LT_(leave, text, a, b, ...) HARNESS_CHECK_(leave, text, (a) < (b), __VA_ARGS__)
#    define HARNESS_LEQ_(leave, text, a, b, ...) \
        HARNESS_CHECK_(leave, text, (a) <= (b), __VA_ARGS__)
#    define HARNESS_GT_(leave, text, a, b, ...) HARNESS_CHECK_(leave, text, (a) > (b), __VA_ARGS__)
#    define HARNESS_GEQ_(leave, text, a, b, ...) \
        HARNESS_CHECK_(leave, text, (a) >= (b), __VA_ARGS__)
#    define HARNESS_STR_EQ_(leave, text, a, b, ...) \
        HARNESS_CHECK_(leave, text, strcmp((a), (b)) == 0, __VA_ARGS__)
#    define HARNESS_STR_NEQ_(leave, text, a, b, ...) \
        HARNESS_CHECK_(leave, text, strcmp((a), (b)) != 0, __VA_ARGS__)
#    define HARNESS_FLOAT_EQ_(leave, text, a, b, epsilon, ...)                            \
        HARNESS_CHECK_(leave, text, fabs((double)(a) - (double)(b)) <= (double)(epsilon), \
                       __VA_ARGS__)
#    define HARNESS_ARR_EQ_(leave, text, a, b, size, ...) \
        HARNESS_CHECK_(leave, text, memcmp((a), (b), (size)) == 0, __VA_ARGS__)

/* clang-format off */
# define cr_fail(...)              harness_fail(__FILE__, __LINE__, false, "fail", "" __VA_ARGS__)
# define cr_assert_fail(...)       harness_fail(__FILE__, __LINE__, true, "fail", "" __VA_ARGS__)
# define cr_assert(...)            HARNESS_TRUE_(true, "assert " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_not(...)        HARNESS_FALSE_(true, "assert_not " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_null(...)       HARNESS_NULL_(true, "assert_null " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_not_null(...)   HARNESS_NOT_NULL_(true, "assert_not_null " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_eq(...)         HARNESS_EQ_(true, "assert_eq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_neq(...)        HARNESS_NEQ_(true, "assert_neq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_lt(...)         HARNESS_LT_(true, "assert_lt " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_leq(...)        HARNESS_LEQ_(true, "assert_leq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_gt(...)         HARNESS_GT_(true, "assert_gt " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_geq(...)        HARNESS_GEQ_(true, "assert_geq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_str_eq(...)     HARNESS_STR_EQ_(true, "assert_str_eq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_str_neq(...)    HARNESS_STR_NEQ_(true, "assert_str_neq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_float_eq(...)   HARNESS_FLOAT_EQ_(true, "assert_float_eq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_assert_arr_eq(...)     HARNESS_ARR_EQ_(true, "assert_arr_eq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect(...)            HARNESS_TRUE_(false, "expect " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_not(...)        HARNESS_FALSE_(false, "expect_not " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_null(...)       HARNESS_NULL_(false, "expect_null " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_not_null(...)   HARNESS_NOT_NULL_(false, "expect_not_null " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_eq(...)         HARNESS_EQ_(false, "expect_eq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_neq(...)        HARNESS_NEQ_(false, "expect_neq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_lt(...)         HARNESS_LT_(false, "expect_lt " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_leq(...)        HARNESS_LEQ_(false, "expect_leq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_gt(...)         HARNESS_GT_(false, "expect_gt " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_geq(...)        HARNESS_GEQ_(false, "expect_geq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_str_eq(...)     HARNESS_STR_EQ_(false, "expect_str_eq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_str_neq(...)    HARNESS_STR_NEQ_(false, "expect_str_neq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_float_eq(...)   HARNESS_FLOAT_EQ_(false, "expect_float_eq " #__VA_ARGS__, __VA_ARGS__, NULL)
# define cr_expect_arr_eq(...)     HARNESS_ARR_EQ_(false, "expect_arr_eq " #__VA_ARGS__, __VA_ARGS__, NULL)
/* clang-format on */

#endif
#endif
