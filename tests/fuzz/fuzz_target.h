// SPDX-License-Identifier: Apache-2.0
// One parser under hostile bytes. A target file defines both functions; it links with corpus_main.cc in CI and with
// libFuzzer by hand (tests/fuzz/run.sh).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// Well-formed inputs to start from.
std::vector<std::string> Seeds();

// What must hold for every input, in every build.
#define FUZZ_EXPECT(condition)                                                                           \
  do {                                                                                                   \
    if (!(condition)) std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), std::abort(); \
  } while (false)
