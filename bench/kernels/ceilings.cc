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

// kChains independent chains of one instruction; the loops hold nothing else.
__attribute__((target("avx512vnni,avx512vl"))) void DotsVnni() {
  __m256i acc[kChains], x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5);
  for (auto& a : acc) a = _mm256_setzero_si256();
  for (int i = 0; i < kLoops; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) asm volatile("vpdpbusd %2, %1, %0" : "+v"(acc[c]) : "v"(x), "v"(y));
  }
}
__attribute__((target("avx2"))) void DotsMaddubs() {
  __m256i acc[kChains], x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5);
  for (auto& a : acc) a = _mm256_setzero_si256();
  for (int i = 0; i < kLoops; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      __m256i product;
      asm volatile("vpmaddubsw %2, %1, %0" : "=x"(product) : "x"(x), "x"(y));
      asm volatile("vpaddw %1, %0, %0" : "+x"(acc[c]) : "x"(product));
    }
  }
}
__attribute__((target("avx2,fma"))) void Fmas() {
  __m256 acc[kChains], x = _mm256_set1_ps(1.0f), y = _mm256_set1_ps(0.5f);
  for (auto& a : acc) a = _mm256_setzero_ps();
  for (int i = 0; i < kLoops; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) asm volatile("vfmadd231ps %2, %1, %0" : "+x"(acc[c]) : "x"(x), "x"(y));
  }
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
  c.read_gb_per_s = static_cast<double>(share) * threads / Best(threads, [&](int m) { ReadAll(memory + share * static_cast<size_t>(m), share); }) / 1e9;
  std::free(memory);
  const bool vnni = kernels::Avx512VnniKernels() != nullptr;
  const double lanes = 1e-9 * kChains * kLoops * threads;
  c.int8_instruction = vnni ? "vpdpbusd ymm" : "vpmaddubsw + vpaddw";
  c.int8_gop_per_s = 64 * lanes / Best(threads, [&](int) { vnni ? DotsVnni() : DotsMaddubs(); });
  c.float_gflop_per_s = 16 * lanes / Best(threads, [](int) { Fmas(); });
  return c;
}

}  // namespace tokenworks::bench
