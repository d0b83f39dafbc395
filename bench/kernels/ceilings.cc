// SPDX-License-Identifier: Apache-2.0
#include "bench/kernels/ceilings.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "kernels/kernel_set.h"

namespace tokenworks::bench {
namespace {

constexpr size_t kReadBytes = size_t{1} << 29;
constexpr int kRounds = 5, kChains = 12, kLoops = 4'000'000;

std::string CpuName() {
  std::ifstream in("/proc/cpuinfo");
  std::string line, family, model, name;
  while (std::getline(in, line) && !line.empty()) {
    const std::string value = line.substr(std::min(line.size(), line.find(':') + 2));
    if (line.rfind("cpu family", 0) == 0) family = value;
    if (line.rfind("model\t", 0) == 0) model = value;
    if (line.rfind("model name", 0) == 0) name = value;
  }
  return name + ", family " + family + " model " + model;
}

__attribute__((target("avx2"))) void ReadAll(const std::byte* p, size_t bytes) {
  __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
  for (size_t i = 0; i < bytes; i += 128) {
    _mm_prefetch(reinterpret_cast<const char*>(p + i) + 2048, _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(p + i) + 2112, _MM_HINT_T0);
    a = _mm256_xor_si256(a, _mm256_load_si256(reinterpret_cast<const __m256i*>(p + i)));
    b = _mm256_xor_si256(b, _mm256_load_si256(reinterpret_cast<const __m256i*>(p + i + 32)));
    c = _mm256_xor_si256(c, _mm256_load_si256(reinterpret_cast<const __m256i*>(p + i + 64)));
    d = _mm256_xor_si256(d, _mm256_load_si256(reinterpret_cast<const __m256i*>(p + i + 96)));
  }
  a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
  asm volatile("" ::"x"(a));
}

// Twelve independent chains of one instruction, enough to hide its latency; the loops hold nothing else.
__attribute__((target("avx512vnni,avx512f"))) void DotsVnni() {
  __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5), a0 = _mm512_setzero_si512(), a1 = _mm512_setzero_si512(),
          a2 = _mm512_setzero_si512(), a3 = _mm512_setzero_si512(), a4 = _mm512_setzero_si512(),
          a5 = _mm512_setzero_si512(), a6 = _mm512_setzero_si512(), a7 = _mm512_setzero_si512(),
          a8 = _mm512_setzero_si512(), a9 = _mm512_setzero_si512(), a10 = _mm512_setzero_si512(),
          a11 = _mm512_setzero_si512();
  for (int i = 0; i < kLoops; ++i)
    asm volatile(
        "vpdpbusd %13, %12, %0\n\t"
        "vpdpbusd %13, %12, %1\n\t"
        "vpdpbusd %13, %12, %2\n\t"
        "vpdpbusd %13, %12, %3\n\t"
        "vpdpbusd %13, %12, %4\n\t"
        "vpdpbusd %13, %12, %5\n\t"
        "vpdpbusd %13, %12, %6\n\t"
        "vpdpbusd %13, %12, %7\n\t"
        "vpdpbusd %13, %12, %8\n\t"
        "vpdpbusd %13, %12, %9\n\t"
        "vpdpbusd %13, %12, %10\n\t"
        "vpdpbusd %13, %12, %11\n\t"
        : "+v"(a0), "+v"(a1), "+v"(a2), "+v"(a3), "+v"(a4), "+v"(a5), "+v"(a6), "+v"(a7), "+v"(a8), "+v"(a9), "+v"(a10),
          "+v"(a11)
        : "v"(x), "v"(y));
}
// vpmaddubsw and the 16-bit add that every use of it needs.
__attribute__((target("avx2"))) void DotsMaddubs() {
  __m256i x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5), a0 = _mm256_setzero_si256(), a1 = _mm256_setzero_si256(),
          a2 = _mm256_setzero_si256(), a3 = _mm256_setzero_si256(), a4 = _mm256_setzero_si256(),
          a5 = _mm256_setzero_si256(), a6 = _mm256_setzero_si256(), a7 = _mm256_setzero_si256(),
          a8 = _mm256_setzero_si256(), a9 = _mm256_setzero_si256(), a10 = _mm256_setzero_si256(),
          a11 = _mm256_setzero_si256();
  for (int i = 0; i < kLoops; ++i)
    asm volatile(
        "vpmaddubsw %13, %12, %%ymm14\n\tvpaddw %%ymm14, %0, %0\n\t"
        "vpmaddubsw %13, %12, %%ymm15\n\tvpaddw %%ymm15, %1, %1\n\t"
        "vpmaddubsw %13, %12, %%ymm14\n\tvpaddw %%ymm14, %2, %2\n\t"
        "vpmaddubsw %13, %12, %%ymm15\n\tvpaddw %%ymm15, %3, %3\n\t"
        "vpmaddubsw %13, %12, %%ymm14\n\tvpaddw %%ymm14, %4, %4\n\t"
        "vpmaddubsw %13, %12, %%ymm15\n\tvpaddw %%ymm15, %5, %5\n\t"
        "vpmaddubsw %13, %12, %%ymm14\n\tvpaddw %%ymm14, %6, %6\n\t"
        "vpmaddubsw %13, %12, %%ymm15\n\tvpaddw %%ymm15, %7, %7\n\t"
        "vpmaddubsw %13, %12, %%ymm14\n\tvpaddw %%ymm14, %8, %8\n\t"
        "vpmaddubsw %13, %12, %%ymm15\n\tvpaddw %%ymm15, %9, %9\n\t"
        "vpmaddubsw %13, %12, %%ymm14\n\tvpaddw %%ymm14, %10, %10\n\t"
        "vpmaddubsw %13, %12, %%ymm15\n\tvpaddw %%ymm15, %11, %11\n\t"
        : "+x"(a0), "+x"(a1), "+x"(a2), "+x"(a3), "+x"(a4), "+x"(a5), "+x"(a6), "+x"(a7), "+x"(a8), "+x"(a9), "+x"(a10),
          "+x"(a11)
        : "x"(x), "x"(y)
        : "ymm14", "ymm15");
}
__attribute__((target("avx512f"))) void Fmas512() {
  __m512 x = _mm512_set1_ps(1.0f), y = _mm512_set1_ps(0.5f), a0 = _mm512_setzero_ps(), a1 = _mm512_setzero_ps(),
         a2 = _mm512_setzero_ps(), a3 = _mm512_setzero_ps(), a4 = _mm512_setzero_ps(), a5 = _mm512_setzero_ps(),
         a6 = _mm512_setzero_ps(), a7 = _mm512_setzero_ps(), a8 = _mm512_setzero_ps(), a9 = _mm512_setzero_ps(),
         a10 = _mm512_setzero_ps(), a11 = _mm512_setzero_ps();
  for (int i = 0; i < kLoops; ++i)
    asm volatile(
        "vfmadd231ps %13, %12, %0\n\t"
        "vfmadd231ps %13, %12, %1\n\t"
        "vfmadd231ps %13, %12, %2\n\t"
        "vfmadd231ps %13, %12, %3\n\t"
        "vfmadd231ps %13, %12, %4\n\t"
        "vfmadd231ps %13, %12, %5\n\t"
        "vfmadd231ps %13, %12, %6\n\t"
        "vfmadd231ps %13, %12, %7\n\t"
        "vfmadd231ps %13, %12, %8\n\t"
        "vfmadd231ps %13, %12, %9\n\t"
        "vfmadd231ps %13, %12, %10\n\t"
        "vfmadd231ps %13, %12, %11\n\t"
        : "+v"(a0), "+v"(a1), "+v"(a2), "+v"(a3), "+v"(a4), "+v"(a5), "+v"(a6), "+v"(a7), "+v"(a8), "+v"(a9), "+v"(a10),
          "+v"(a11)
        : "v"(x), "v"(y));
}
__attribute__((target("avx2,fma"))) void Fmas() {
  __m256 x = _mm256_set1_ps(1.0f), y = _mm256_set1_ps(0.5f), a0 = _mm256_setzero_ps(), a1 = _mm256_setzero_ps(),
         a2 = _mm256_setzero_ps(), a3 = _mm256_setzero_ps(), a4 = _mm256_setzero_ps(), a5 = _mm256_setzero_ps(),
         a6 = _mm256_setzero_ps(), a7 = _mm256_setzero_ps(), a8 = _mm256_setzero_ps(), a9 = _mm256_setzero_ps(),
         a10 = _mm256_setzero_ps(), a11 = _mm256_setzero_ps();
  for (int i = 0; i < kLoops; ++i)
    asm volatile(
        "vfmadd231ps %13, %12, %0\n\t"
        "vfmadd231ps %13, %12, %1\n\t"
        "vfmadd231ps %13, %12, %2\n\t"
        "vfmadd231ps %13, %12, %3\n\t"
        "vfmadd231ps %13, %12, %4\n\t"
        "vfmadd231ps %13, %12, %5\n\t"
        "vfmadd231ps %13, %12, %6\n\t"
        "vfmadd231ps %13, %12, %7\n\t"
        "vfmadd231ps %13, %12, %8\n\t"
        "vfmadd231ps %13, %12, %9\n\t"
        "vfmadd231ps %13, %12, %10\n\t"
        "vfmadd231ps %13, %12, %11\n\t"
        : "+x"(a0), "+x"(a1), "+x"(a2), "+x"(a3), "+x"(a4), "+x"(a5), "+x"(a6), "+x"(a7), "+x"(a8), "+x"(a9), "+x"(a10),
          "+x"(a11)
        : "x"(x), "x"(y));
}

double Best(int threads, const std::function<void(int)>& work) {
  double best = 1e9;
  for (int i = 0; i < kRounds; ++i) best = std::min(best, RunTogether(threads, work));
  return best;
}

}  // namespace

double RunTogether(int threads, const std::function<void(int)>& work) {
  std::atomic<int> arrived{0};
  std::vector<std::thread> team;
  std::chrono::steady_clock::time_point begin;
  const auto member = [&](int m) {
    arrived.fetch_add(1);
    while (arrived.load() < threads) _mm_pause();
    if (m == 0) begin = std::chrono::steady_clock::now();
    work(m);
  };
  for (int m = 1; m < threads; ++m) team.emplace_back(member, m);
  member(0);
  for (std::thread& t : team) t.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Ceilings MeasureCeilings(int threads) {
  Ceilings c;
  c.cpu = CpuName();
  c.threads = threads;
  std::byte* memory = static_cast<std::byte*>(std::aligned_alloc(4096, kReadBytes + 4096));
  std::memset(memory, 1, kReadBytes + 4096);
  const size_t share = kReadBytes / static_cast<size_t>(threads) / 128 * 128;
  c.read_gb_per_s = static_cast<double>(share) * threads /
                    Best(threads, [&](int m) { ReadAll(memory + share * static_cast<size_t>(m), share); }) / 1e9;
  std::free(memory);
  const bool vnni = kernels::Avx512VnniKernels() != nullptr;
  const double lanes = 1e-9 * kChains * kLoops * threads;
  c.int8_instruction = vnni ? "vpdpbusd zmm" : "vpmaddubsw + vpaddw ymm";
  c.int8_gop_per_s = (vnni ? 128 : 64) * lanes / Best(threads, [&](int) { vnni ? DotsVnni() : DotsMaddubs(); });
  c.float_gflop_per_s = (vnni ? 32 : 16) * lanes / Best(threads, [&](int) { vnni ? Fmas512() : Fmas(); });
  return c;
}

}  // namespace tokenworks::bench
