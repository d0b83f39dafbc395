// SPDX-License-Identifier: Apache-2.0
// What this machine can do at most, measured: the floors of every figure in bench/.
#pragma once

#include <functional>
#include <string>

namespace tokenworks::bench {

struct Ceilings {
  std::string cpu;  // family, model and name from /proc/cpuinfo
  int threads = 0;
  double read_gb_per_s = 0;      // of memory larger than every cache, all threads
  double int8_gop_per_s = 0;     // multiply and add counted apart; the best integer dot that the kernels may use here
  std::string int8_instruction;  // what it was
  double float_gflop_per_s = 0;  // FMA, of the widest vectors that the kernels may use here
};

Ceilings MeasureCeilings(int threads);

// Runs work(member) on `threads` threads at once; seconds from the common start to the last end.
double RunTogether(int threads, const std::function<void(int)>& work);

}  // namespace tokenworks::bench
