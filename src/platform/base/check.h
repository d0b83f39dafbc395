// SPDX-License-Identifier: Apache-2.0
// A bug ends the process with its place and a sentence.
#pragma once

#include <cstdio>
#include <cstdlib>

#define TW_CHECK(condition, sentence)                                                                   \
  do {                                                                                                  \
    if (!(condition)) {                                                                                 \
      std::fprintf(stderr, "%s:%d: check failed: %s (%s)\n", __FILE__, __LINE__, sentence, #condition); \
      std::abort();                                                                                     \
    }                                                                                                   \
  } while (false)
