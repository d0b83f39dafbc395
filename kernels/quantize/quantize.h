// SPDX-License-Identifier: Apache-2.0
// Activations in 32-blocks of int8: what every quantised matrix product reads.
#pragma once

#include <cstdint>
#include <vector>

namespace tokenworks::kernels {

inline constexpr int kQuantBlock = 32;
// Blocks whose largest magnitude is below become zero: 127 / a stays finite and dw * d normal.
inline constexpr float kQuantZeroBelow = 8.0779356694631609e-28f;  // 2^-90

// One token's row of k values.
struct ActivationRow {
  int8_t* q;     // [k], -127 .. 127
  float* d;      // [k/32] scale
  float* s;      // [k/32] d * sum(q)
  int32_t* sum;  // [k/32] sum(q)
};

// Rows of several tokens, one matrix input; owned by the executor's scratch.
class Activations {
 public:
  void Resize(int tokens, int k) {
    k_ = k;
    blocks_ = k / kQuantBlock;
    const size_t n = static_cast<size_t>(tokens);
    if (q_.size() < n * k) q_.resize(n * k);
    if (d_.size() < n * blocks_) {
      d_.resize(n * blocks_);
      s_.resize(n * blocks_);
      sum_.resize(n * blocks_);
    }
  }
  ActivationRow row(int token) {
    const size_t b = static_cast<size_t>(token) * blocks_;
    return {q_.data() + static_cast<size_t>(token) * k_, d_.data() + b, s_.data() + b, sum_.data() + b};
  }
  const int8_t* q(int token) const { return q_.data() + static_cast<size_t>(token) * k_; }
  const float* d(int token) const { return d_.data() + static_cast<size_t>(token) * blocks_; }
  const float* s(int token) const { return s_.data() + static_cast<size_t>(token) * blocks_; }
  const int32_t* sum(int token) const { return sum_.data() + static_cast<size_t>(token) * blocks_; }
  int k() const { return k_; }
  int blocks() const { return blocks_; }

 private:
  int k_ = 0, blocks_ = 0;
  std::vector<int8_t> q_;
  std::vector<float> d_, s_;
  std::vector<int32_t> sum_;
};

}  // namespace tokenworks::kernels
