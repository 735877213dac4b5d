/*
 * Reading a file into memory, up to the size that a configuration may have.
 */
#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC, strerror_r */

#include "config/config_model.h"

#include "base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static weir_status cannot_read(const char *path, int number, weir_error *error)
{
    char reason[96];

    if (strerror_r(number, reason, sizeof(reason)) != 0) {
        reason[0] = '\0';
    }
    (void)wr_fail(error, WEIR_E_SYSTEM, "cannot be read: %s", reason);
    (void)wr_fail_at(error, path, 0, 0);
    return WEIR_E_SYSTEM;
}

/* Read until the end of the file or until `size` bytes are there; -1: errno says why not. */
static ssize_t read_up_to(int file, char *text, size_t size)
{
    size_t length = 0;

    while (length < size) {
        const ssize_t got = read(file, text + length, size - length);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    return (ssize_t)length;
}

weir_status wr_config_slurp(const char *path, char **ret_text, size_t *ret_length,
                            weir_error *error)
{
    /* One byte more than allowed tells a file of exactly that size from a longer one. */
    char *const text = wr_config_memory.allocate(WR_CONFIG_BYTES + 1);
    int file = -1;
    ssize_t length = -1;

    if (text == NULL) {
        return wr_fail(error, WEIR_E_MEMORY, "out of memory while reading %s", path);
    }
    file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file >= 0) {
        length = read_up_to(file, text, WR_CONFIG_BYTES + 1);
    }
    if (length < 0) {
        const int number = errno;

        wr_config_memory.release(text);
        if (file >= 0) {
            (void)close(file);
        }
        return cannot_read(path, number, error);
    }
    (void)close(file);
    *ret_text = text;
    *ret_length = (size_t)length;
    return WEIR_OK;
}
