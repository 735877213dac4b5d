/* What the statements shown in the documentation may take for granted: see code_blocks.sh. */
#ifndef WEIR_TESTS_DOCS_FRAGMENT_H
#define WEIR_TESTS_DOCS_FRAGMENT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/config.h>
#include <weir/testing.h>
#include <weir/weir.h>

extern weir_runtime *runtime;
extern weir_dependency *dependency;
extern weir_error error;

void answer_without_it(uint64_t retry_after_ns);
int send_request(weir_permit *permit);

#endif
